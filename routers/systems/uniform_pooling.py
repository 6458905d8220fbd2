"""All frames pooled alike, and fewer frames at full resolution: what most users do today (baselines, paper table 1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from videorouter.routers.routing.allocation import allocate, scaled_tokens
from videorouter.routers.systems.base import CompressedVideo, apply_allocation, pool_to_counts, pooled_sizes
from videorouter.routers.systems.frame_retention import frames_within
from videorouter.routers.systems.query import Query
from videorouter.routers.systems.spec import Kind
from videorouter.routers.systems.vidcom2 import Adjustable


@dataclass(frozen=True)
class UniformPooling:
    """`scale` is chosen on validation data in comparisons; the question is not read."""

    grid: tuple[int, int] | None
    scale: int = 2
    name: str = "uniform_pooling"
    budgeted: bool = True
    kind: Kind = "compared"
    reads_question: ClassVar[bool] = False
    spends_cap: bool = False

    def compress(self, video_tokens: Tensor, query: Query, budget: int) -> CompressedVideo:
        frames, per_frame = video_tokens.shape[:2]
        plan = allocate("global", [False] * frames, tokens_per_frame=per_frame, budget=budget, global_scale=self.scale)
        return apply_allocation(video_tokens, plan, query.grid_or(self.grid))

    def least_budget(self, tokens_per_frame: int) -> int:
        """One frame at `scale`. Raises `ValueError` for a scale that a frame does not have."""
        return scaled_tokens(tokens_per_frame, self.scale)

    def adjustable(self, video_tokens: Tensor, query: Query, budget: int) -> Adjustable:
        """All frames, or as many as the budget has tokens; `scale` is not read."""
        frames, per_frame = video_tokens.shape[:2]
        return Adjustable(frames_within(frames, per_frame, budget), budget)

    def fed(self, video_tokens: Tensor, query: Query) -> np.ndarray:
        return pooled_sizes(query.grid_or(self.grid))

    def reduce(self, video_tokens: Tensor, query: Query, counts: Mapping[int, int]) -> CompressedVideo:
        return pool_to_counts(video_tokens, counts, query.grid_or(self.grid))


@dataclass(frozen=True)
class FrameBudget(UniformPooling):
    """A uniform subset of `budget // M` frames, none of them pooled."""

    scale: int = 1
    name: str = "frame_budget"
