"""All frames alike, pooled to M / s tokens; a uniform subset of them where the budget ends (reference row, paper table 1)."""

from dataclasses import dataclass

from torch import Tensor

from routers.allocation import allocate
from routers.systems.base import CompressedVideo, Query, apply_allocation


@dataclass(frozen=True)
class UniformPooling:
    """`scale` is chosen on validation data in comparisons; the question is not read."""

    grid: tuple[int, int]
    scale: int = 2
    name: str = "uniform_pooling"
    budgeted: bool = True
    reference: bool = False

    def compress(self, video_tokens: Tensor, query: Query, budget: int) -> CompressedVideo:
        frames, per_frame = video_tokens.shape[:2]
        plan = allocate("global", [False] * frames, tokens_per_frame=per_frame, budget=budget, global_scale=self.scale)
        return apply_allocation(video_tokens, plan, self.grid)
