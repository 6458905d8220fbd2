"""The newest frames in full, as many as the budget holds: what a live stream asks about."""

from dataclasses import dataclass
from typing import Any

import torch

from videorouter import CompressedVideo, Query


@dataclass(frozen=True)
class NewestFrames:
    """Every `stride`-th frame from the end. Its plain fields are options: `newest_frames(stride=2)`."""

    stride: int = 1
    name: str = "newest_frames"
    budgeted: bool = True
    kind: str = "compared"
    spends_cap: bool = False

    def compress(self, video_tokens: torch.Tensor, query: Query, budget: int) -> CompressedVideo:
        """`[T, M, channels]` -> the tokens of the newest `budget // M` frames, in temporal order."""
        frames, per_frame = video_tokens.shape[:2]
        if budget < per_frame:
            raise ValueError(f"a frame has {per_frame} tokens, the budget is {budget}: give {per_frame} or more")
        newest = torch.arange(frames - 1, -1, -self.stride)[: budget // per_frame].flip(0).to(video_tokens.device)
        return CompressedVideo(
            video_tokens[newest].flatten(0, 1),
            newest.repeat_interleave(per_frame),
            torch.arange(per_frame, device=newest.device).repeat(len(newest)),
            total_frames=frames,
        )


def build(router: Any, options: Any) -> NewestFrames:
    """What the registry calls: `router.backbone` and `router.scales` are there to build from, `options` are `SystemOptions`."""
    return NewestFrames()
