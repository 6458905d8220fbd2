"""VideoRouter: the question picks the policy, the frames' relevance picks their resolution (paper section 3)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from routers.allocation import Allocation, Policy, allocate
from routers.backbones.base import Backbone
from routers.pooling import pooled_grid
from routers.scoring import ImageRouter, SemanticRouter
from routers.systems.base import CompressedVideo, Query, apply_allocation
from routers.systems.fca import Adjustable
from routers.systems.pooled_frames import pool_to_counts, pooled_sizes


@dataclass(frozen=True)
class Scales:
    """Compression scales: (global; relevant, irrelevant) = (2; 1, 4) in the paper's main runs, (4; 1, 8) in its smallest."""

    global_scale: int = 2
    relevant_scale: int = 1
    irrelevant_scale: int = 4


@dataclass(frozen=True)
class RoutedCompression:
    """The system `videorouter`. `policy` forces one; the Image Router runs only under `fragment`."""

    backbone: Backbone
    semantic: SemanticRouter
    image: ImageRouter
    scales: Scales = field(default_factory=Scales)
    threshold: float = 0.5
    policy: Policy | None = None
    name: str = "videorouter"
    budgeted: bool = True
    reference: bool = False

    def compress(self, video_tokens: Tensor, query: Query, budget: int) -> CompressedVideo:
        policy, relevance = self.route(video_tokens, query)
        relevant = self._relevant(video_tokens, relevance)
        return routed(video_tokens, policy, relevant, budget, self.backbone.grid, self.scales, relevance)

    @torch.no_grad()
    def route(self, video_tokens: Tensor, query: Query) -> tuple[Policy, Tensor | None]:
        """The policy, and under `fragment` the relevance `[T]`. Routers read the first `hidden_size` channels."""
        question = self.backbone.embed_text(query.question)
        policy = self.policy or self.semantic.choose(question)
        if policy == "global":
            return policy, None
        return policy, self.image(video_tokens[..., : self.backbone.hidden_size], [question])[0]

    def adjustable(self, video_tokens: Tensor, query: Query, budget: int) -> Adjustable:
        """Under `global` all frames that were allocated tokens; under `fragment` the irrelevant ones: relevant frames keep theirs.

        So frame compression adjustment feeds no more than routing alone, and no relevant frame loses resolution to it (ours).
        """
        policy, relevance = self.route(video_tokens, query)
        relevant = self._relevant(video_tokens, relevance)
        plan = plan_of(policy, relevant, video_tokens.shape[1], budget, self.scales)
        grids = (pooled_grid(self.backbone.grid, scale) for scale in plan.scales)
        tokens = {frame: math.prod(kept) for frame, kept in zip(plan.frames, grids, strict=True)}
        settled = {frame: count for frame, count in tokens.items() if relevant[frame]}
        others = [frame for frame in plan.frames if frame not in settled]
        return Adjustable(others, sum(tokens[frame] for frame in others), settled, policy, relevance)

    def fed(self, per_frame: int) -> np.ndarray:
        return pooled_sizes(self.backbone.grid)

    def reduce(self, video_tokens: Tensor, query: Query, counts: Mapping[int, int]) -> CompressedVideo:
        return pool_to_counts(video_tokens, counts, self.backbone.grid)

    def _relevant(self, video_tokens: Tensor, relevance: Tensor | None) -> list[bool]:
        return [False] * len(video_tokens) if relevance is None else (relevance > self.threshold).tolist()


def routed(
    video_tokens: Tensor,
    policy: Policy,
    relevant: list[bool],
    budget: int,
    grid: tuple[int, int],
    scales: Scales,
    relevance: Tensor | None = None,
) -> CompressedVideo:
    """Allocate and pool `[T, M, D]` under a policy and relevance that are already decided."""
    plan = plan_of(policy, relevant, video_tokens.shape[1], budget, scales)
    return apply_allocation(video_tokens, plan, grid, policy, relevance)


def plan_of(policy: Policy, relevant: list[bool], per_frame: int, budget: int, scales: Scales) -> Allocation:
    """`allocate` at these scales. Raises as it does."""
    return allocate(
        policy,
        relevant,
        tokens_per_frame=per_frame,
        budget=budget,
        global_scale=scales.global_scale,
        relevant_scale=scales.relevant_scale,
        irrelevant_scale=scales.irrelevant_scale,
    )
