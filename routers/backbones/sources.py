"""Where frames and their tokens come from: a tensor, or a source that decodes and encodes when it is asked for a frame (ours)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from torch import Tensor

from videorouter.routers.backbones.finite import NotFiniteError
from videorouter.routers.backbones.protocol import Backbone


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


class TokenSource(Protocol):
    """T frames' tokens by frame number; a tensor `[T, M, channels]` is one."""

    def __len__(self) -> int:
        """T."""
        ...

    def __getitem__(self, frames: list[int], /) -> Tensor:
        """Frame numbers -> their tokens `[t, M, channels]`."""
        ...


@dataclass(frozen=True)
class LazyTokens:
    """Encodes the frames that are asked for and keeps nothing: ten thousand frames cost the memory of those asked at once.

    Where the model merges frames into patches, T and the numbers asked for are of patches; the last frame fills the last one.
    """

    backbone: Backbone
    frames: FrameSource

    def __len__(self) -> int:
        return -(-len(self.frames) // self.backbone.frames_per_patch)

    def __getitem__(self, frames: list[int], /) -> Tensor:
        """`[t, M, channels]`, the same as encoding all frames and picking these. Raises as `Backbone.encode_frames`."""
        merged, last = self.backbone.frames_per_patch, len(self.frames) - 1
        sampled = [min(frame * merged + step, last) for frame in frames for step in range(merged)]
        try:
            return self.backbone.encode_frames(self.frames[sampled])
        except NotFiniteError as error:
            raise error.renumbered(frames) from None
