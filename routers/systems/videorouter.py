"""VideoRouter: the question picks the policy, the frames' relevance picks their resolution (paper section 3)."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from routers.allocation import Policy, allocate
from routers.backbones.base import Backbone
from routers.scoring import ImageRouter, SemanticRouter
from routers.systems.base import CompressedVideo, Query, apply_allocation


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

    @torch.no_grad()
    def compress(self, video_tokens: Tensor, query: Query, budget: int) -> CompressedVideo:
        question = self.backbone.embed_text(query.question)
        policy = self.policy or self.semantic.choose(question)
        relevance = self.image(video_tokens, [question])[0] if policy == "fragment" else None
        relevant = [False] * len(video_tokens) if relevance is None else (relevance > self.threshold).tolist()
        return routed(video_tokens, policy, relevant, budget, self.backbone.grid, self.scales, relevance)


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
    plan = allocate(
        policy,
        relevant,
        tokens_per_frame=video_tokens.shape[1],
        budget=budget,
        global_scale=scales.global_scale,
        relevant_scale=scales.relevant_scale,
        irrelevant_scale=scales.irrelevant_scale,
    )
    return apply_allocation(video_tokens, plan, grid, policy, relevance)
