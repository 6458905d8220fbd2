"""Every token of every frame: the unbudgeted reference that the savings are counted against."""

from dataclasses import dataclass

from torch import Tensor

from videorouter.routers.allocation import allocate
from videorouter.routers.systems.base import CompressedVideo, apply_allocation
from videorouter.routers.systems.query import Query


@dataclass(frozen=True)
class Dense:
    """Keeps all T * M tokens, whatever the budget."""

    grid: tuple[int, int]
    name: str = "dense"
    budgeted: bool = False
    reference: bool = True

    def compress(self, video_tokens: Tensor, query: Query, budget: int) -> CompressedVideo:
        frames, per_frame = video_tokens.shape[:2]
        plan = allocate(
            "global", [False] * frames, tokens_per_frame=per_frame, budget=frames * per_frame, global_scale=1
        )
        return apply_allocation(video_tokens, plan, self.grid)
