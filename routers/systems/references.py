"""References: every token (`dense`), and VideoRouter told the truth by the benchmark (`oracle`)."""

from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from videorouter.routers.routing.allocation import Scales, allocate
from videorouter.routers.systems.base import CompressedVideo, apply_allocation
from videorouter.routers.systems.query import Query
from videorouter.routers.systems.spec import Kind
from videorouter.routers.systems.videorouter import routed


@dataclass(frozen=True)
class Dense:
    """Keeps all T * M tokens, whatever the budget."""

    grid: tuple[int, int] | None
    name: str = "dense"
    budgeted: bool = False
    kind: Kind = "reference"
    reads_question: ClassVar[bool] = False
    spends_cap: bool = True

    def compress(self, video_tokens: Tensor, query: Query, budget: int) -> CompressedVideo:
        frames, per_frame = video_tokens.shape[:2]
        plan = allocate(
            "global", [False] * frames, tokens_per_frame=per_frame, budget=frames * per_frame, global_scale=1
        )
        return apply_allocation(video_tokens, plan, query.grid_or(self.grid))


@dataclass(frozen=True)
class Oracle:
    """Allocates by `query.truth`. Raises `ValueError` for a question whose truth is not known."""

    grid: tuple[int, int] | None
    scales: Scales = field(default_factory=Scales)
    name: str = "oracle"
    budgeted: bool = True
    kind: Kind = "bound"
    spends_cap: bool = True

    def compress(self, video_tokens: Tensor, query: Query, budget: int) -> CompressedVideo:
        if query.truth is None:
            raise ValueError(
                f"oracle needs the truth about {query.question!r}: this benchmark has none; leave `oracle` out"
            )
        truth = query.truth
        grid = query.grid_or(self.grid)
        return routed(video_tokens, truth.policy, list(truth.relevant), budget, grid, self.scales)
