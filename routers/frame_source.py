"""Where frames are taken from: an array, or a video file of which only the frames asked for are decoded."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np


class FrameSource(Protocol):
    """T frames by number; an array `[T, H, W, 3]`, in memory or mapped from a file, is one."""

    def __len__(self) -> int:
        """T."""
        ...

    def __getitem__(self, frames: list[int], /) -> np.ndarray:
        """Frame numbers -> uint8 RGB `[t, H, W, 3]`."""
        ...


@dataclass(frozen=True)
class FramesOnDemand:
    """The frames on screen at `seconds` of the video `path`, resized to `size` x `size` pixels where given; none is kept."""

    path: Path
    seconds: Sequence[float]
    size: int | None = None

    def __len__(self) -> int:
        return len(self.seconds)

    def __getitem__(self, frames: list[int], /) -> np.ndarray:
        """Decode these. Raises `VideoError` for a file that does not read."""
        from videorouter.video.decode import frames_at

        return frames_at(self.path, [self.seconds[frame] for frame in frames], self.size).frames
