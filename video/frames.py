"""Frames sampled from one video, with where they really came from, and their resizing."""

from dataclasses import dataclass

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class SampledFrames:
    """`frames` uint8 RGB `[T, H, W, 3]`; frame i is frame `indices[i]` of the file, shown at `seconds[i]`.

    `total` counts the frames that are really there, `promised` those the header counts (None where it does not say); `duration`
    is in seconds, `fps` the mean rate.
    """

    frames: np.ndarray
    indices: list[int]
    seconds: list[float]
    fps: float
    total: int
    duration: float
    decoder: str
    sampler: str
    promised: int | None = None


def resize_frames(frames: np.ndarray, size: int) -> np.ndarray:
    """uint8 `[T, H, W, 3]` -> `[T, size, size, 3]`: bicubic with antialiasing, aspect ignored; identity when already so.

    A square is what the vision tower reads; this is what InternVL's image processor does for one tile.
    """
    if frames.shape[1:3] == (size, size):
        return frames
    return np.stack(
        [np.asarray(Image.fromarray(frame).resize((size, size), Image.Resampling.BICUBIC)) for frame in frames]
    )
