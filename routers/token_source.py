"""Where a system takes a video's tokens from: a tensor, or a source that encodes frames when they are asked for."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from videorouter.routers.backbones.base import Backbone
from videorouter.routers.frame_source import FrameSource


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
        """`[t, M, channels]`, the same as encoding all frames and picking these."""
        merged, last = self.backbone.frames_per_patch, len(self.frames) - 1
        sampled = [min(frame * merged + step, last) for frame in frames for step in range(merged)]
        return self.backbone.encode_frames(self.frames[sampled])
