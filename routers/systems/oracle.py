"""VideoRouter with perfect routers: policy and relevance from the truth, where a benchmark has it. A reference row."""

from dataclasses import dataclass, field

from torch import Tensor

from videorouter.routers.allocation import Scales
from videorouter.routers.systems.base import CompressedVideo
from videorouter.routers.systems.query import Query
from videorouter.routers.systems.videorouter import routed


@dataclass(frozen=True)
class Oracle:
    """Allocates by `query.truth`. Raises `ValueError` for a question whose truth is not known."""

    grid: tuple[int, int]
    scales: Scales = field(default_factory=Scales)
    name: str = "oracle"
    budgeted: bool = True
    reference: bool = True

    def compress(self, video_tokens: Tensor, query: Query, budget: int) -> CompressedVideo:
        if query.truth is None:
            raise ValueError(
                f"oracle needs the truth about {query.question!r}: this benchmark has none; leave `oracle` out"
            )
        truth = query.truth
        return routed(video_tokens, truth.policy, list(truth.relevant), budget, self.grid, self.scales)
