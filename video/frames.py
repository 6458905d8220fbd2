"""Frames sampled from one video, with where they really came from, and their resizing."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class SampledFrames:
    """`frames` uint8 RGB `[T, H, W, 3]`; frame i is frame `indices[i]` of those that decode, shown at `seconds[i]`.

    Seconds count from the file's first frame, also where that one is damaged. `total` counts the frames that are really there,
    `promised` those the header counts (None where it does not say); `duration` is in seconds, `fps` the mean rate. `shape` is
    (height, width) of the file's frames, upright, before they were resized; None where `frames` are as they were.
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
    shape: tuple[int, int] | None = None


Size = tuple[int, int]
"""(height, width) in pixels."""
Sizing = int | Size | Callable[[int, int], Size]
"""To which size frames are brought: a square's side, (height, width), or what a function makes of a frame's own (height, width)."""


def resize_frames(frames: np.ndarray, size: Sizing) -> np.ndarray:
    """uint8 `[T, H, W, 3]` -> `[T, h, w, 3]`: bicubic with antialiasing, aspect ignored; identity when already so.

    This is what InternVL's image processor does for one tile, and Qwen-VL's for a size that it has chosen.
    """
    own = (frames.shape[1], frames.shape[2])
    if isinstance(size, int):
        height, width = size, size
    else:
        height, width = size(*own) if callable(size) else size
    if own == (height, width):
        return frames
    return np.stack(
        [np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BICUBIC)) for frame in frames]
    )
