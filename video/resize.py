"""Frames to the square the vision tower reads: what InternVL's image processor does for one tile."""

import numpy as np
from PIL import Image


def resize_frames(frames: np.ndarray, size: int) -> np.ndarray:
    """uint8 `[T, H, W, 3]` -> `[T, size, size, 3]`, bicubic with antialiasing, aspect ignored; identity when already so."""
    if frames.shape[1:3] == (size, size):
        return frames
    return np.stack(
        [np.asarray(Image.fromarray(frame).resize((size, size), Image.Resampling.BICUBIC)) for frame in frames]
    )
