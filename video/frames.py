"""Frames sampled from one video, with where they really came from."""

from dataclasses import dataclass

import numpy as np


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
