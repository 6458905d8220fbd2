"""Where frames and their tokens come from: a tensor, or a source that decodes and encodes when it is asked for a frame (ours)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from torch import Tensor

from videorouter.routers.backbones.finite import NotFiniteError
from videorouter.routers.backbones.protocol import Backbone, Grid
from videorouter.video.frames import Sizing


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
    """The frames on screen at `seconds` of the video `path`, resized to `size` (`Sizing`) where given; none is kept."""

    path: Path
    seconds: Sequence[float]
    size: Sizing | None = None

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
    `grid` is the video's where the model has none of its own; that of all frames together where it is not given.
    """

    backbone: Backbone
    frames: FrameSource
    grid: Grid | None = None

    def __len__(self) -> int:
        return -(-len(self.frames) // self.backbone.frames_per_patch)

    def __getitem__(self, frames: list[int], /) -> Tensor:
        """`[t, M, channels]`, the same as encoding all frames and picking these. Raises as `Backbone.encode_frames`."""
        merged, last = self.backbone.frames_per_patch, len(self.frames) - 1
        sampled = [min(frame * merged + step, last) for frame in frames for step in range(merged)]
        seen = self.frames[sampled]
        try:
            return self.backbone.encode_frames(seen, grid=self.grid or self._grid_like(seen))
        except NotFiniteError as error:
            raise error.renumbered(frames) from None

    def _grid_like(self, seen: np.ndarray) -> Grid:
        """The grid of the whole video, of which `seen` is a part."""
        return self.backbone.grid or self.backbone.grid_of(len(self.frames), *seen.shape[1:3])
