"""The one interface behind which every compression system stands, and what it returns."""

from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from routers.allocation import Allocation, Policy
from routers.backbones.base import FrameSpan
from routers.pooling import first_cells, pool_frames

PositionPolicy = Literal["contiguous", "original"]


@dataclass(frozen=True)
class Truth:
    """What is known to be right about a question: its policy and one bool per sampled frame. Read by `oracle` alone."""

    policy: Policy
    relevant: tuple[bool, ...]


@dataclass(frozen=True)
class Query:
    """One question as the systems see it. Routers read `question`, never the options."""

    question: str
    options: tuple[str, ...] | None = None
    truth: Truth | None = None


@dataclass(frozen=True)
class CompressedVideo:
    """The visual tokens kept, in temporal and raster order, with the origin of each.

    `embeddings` `[N, D]`; `frames` `[N]` 0-based index of the sampled frame; `cells` `[N]` raster index on the frame's
    full grid (of the top left token a pooled one covers). `policy` and `relevance` `[T]` where a router decided.
    """

    embeddings: Tensor
    frames: Tensor
    cells: Tensor
    positions: PositionPolicy = "contiguous"
    policy: Policy | None = None
    relevance: Tensor | None = None

    @property
    def tokens(self) -> int:
        return len(self.embeddings)

    @property
    def spans(self) -> list[FrameSpan]:
        """The kept frames with the tokens of each, in temporal order."""
        frames, counts = self.frames.unique_consecutive(return_counts=True)
        return [FrameSpan(frame, count) for frame, count in zip(frames.tolist(), counts.tolist(), strict=True)]


class System(Protocol):
    """Compresses a video's tokens for one question.

    `budgeted` is False where the budget is ignored (`dense`); `reference` marks rows printed apart from the compared ones.
    """

    @property
    def name(self) -> str: ...

    @property
    def budgeted(self) -> bool: ...

    @property
    def reference(self) -> bool: ...

    def compress(self, video_tokens: Tensor, query: Query, budget: int) -> CompressedVideo:
        """`[T, M, D]` tokens, the question, at most `budget` tokens out. Raises `ValueError` for unworkable budgets."""
        ...


def apply_allocation(
    video_tokens: Tensor,
    plan: Allocation,
    grid: tuple[int, int],
    policy: Policy | None = None,
    relevance: Tensor | None = None,
) -> CompressedVideo:
    """Pool and drop frames of `[T, M, D]` as `plan` says; `policy` is recorded where a router chose it."""
    pooled: dict[int, Tensor] = {}
    for scale in set(plan.scales):
        members = [frame for frame, s in zip(plan.frames, plan.scales, strict=True) if s == scale]
        pooled |= dict(zip(members, pool_frames(video_tokens[members], scale, grid), strict=True))
    scale_of = dict(zip(plan.frames, plan.scales, strict=True))
    device = video_tokens.device
    return CompressedVideo(
        embeddings=torch.cat([pooled[frame] for frame in plan.frames]),
        frames=torch.cat([torch.full((len(pooled[frame]),), frame, device=device) for frame in plan.frames]),
        cells=torch.cat([first_cells(grid, scale_of[frame], device) for frame in plan.frames]),
        policy=policy,
        relevance=relevance,
    )
