"""Frames most alike the question in full, the others pooled: an image-text encoder as router (reference row, paper table 1)."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from videorouter.routers.allocation import Allocation, Scales, scaled_tokens
from videorouter.routers.systems.base import CompressedVideo, apply_allocation
from videorouter.routers.systems.frame_encoder import FrameEncoder
from videorouter.routers.systems.query import Query
from videorouter.routers.systems.videorouter import plan_of


@dataclass(frozen=True)
class RelevancePooling:
    """The top k frames by frame-question similarity at `relevant_scale`, the rest at `irrelevant_scale`.

    k is what the budget holds beside all other frames, or one more where that spends more of it (ours): then a little
    background is dropped. At least one frame is in full where it fits. `encoder` is called when it is first needed.
    """

    grid: tuple[int, int]
    encoder: Callable[[], FrameEncoder]
    scales: Scales = field(default_factory=Scales)
    name: str = "relevance_pooling"
    budgeted: bool = True
    reference: bool = False

    def compress(self, video_tokens: Tensor, query: Query, budget: int) -> CompressedVideo:
        """Raises `ValueError` for a query without frames, frames that are not those of the tokens, unworkable budgets."""
        frames, per_frame = video_tokens.shape[:2]
        if query.frames is None:
            raise ValueError("relevance_pooling looks at the frames themselves: give them as `Query(..., frames=...)`")
        encoder = self.encoder()
        cosines = encoder.embed_frames(query.frames) @ encoder.embed_text(query.question)
        similarity = per_token_frame(cosines, frames)
        plan = self._plan(similarity.argsort(descending=True, stable=True).tolist(), per_frame, budget)
        return apply_allocation(video_tokens, plan, self.grid)

    def _plan(self, ranking: list[int], per_frame: int, budget: int) -> Allocation:
        sharp = scaled_tokens(per_frame, self.scales.relevant_scale)
        coarse = scaled_tokens(per_frame, self.scales.irrelevant_scale)
        keeping_all = max(1, (budget - len(ranking) * coarse) // max(1, sharp - coarse))
        counts = sorted({min(k, len(ranking), budget // sharp) for k in (keeping_all, keeping_all + 1)})
        plans = [_top(ranking, count, per_frame, budget, self.scales) for count in counts]
        return max(plans, key=lambda plan: plan.tokens)


def _top(ranking: list[int], k: int, per_frame: int, budget: int, scales: Scales) -> Allocation:
    relevant = [False] * len(ranking)
    for frame in ranking[:k]:
        relevant[frame] = True
    return plan_of("fragment", relevant, per_frame, budget, scales)


def per_token_frame(similarity: Tensor, frames: int) -> Tensor:
    """Similarity `[N]` of N sampled frames -> `[frames]`: where the model merges neighbours, the higher of those merged.

    Raises `ValueError` where N frames cannot have become `frames`.
    """
    merged = -(-len(similarity) // frames)
    if -(-len(similarity) // merged) != frames:
        raise ValueError(f"{len(similarity)} frames were given for the tokens of {frames}: they are not of one video")
    missing = similarity.new_full((frames * merged - len(similarity),), -torch.inf)
    return torch.cat([similarity, missing]).view(frames, merged).amax(1)
