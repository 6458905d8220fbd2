"""VideoRouter: the question picks the policy, the frames' relevance picks their resolution (paper section 3).

Options of ours: frames screened at low resolution before any is encoded in full; tokens that follow each frame's relevance.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from videorouter.routers.backbones.finite import finite, finite_frames
from videorouter.routers.backbones.protocol import Backbone, Grid
from videorouter.routers.backbones.sources import TokenSource
from videorouter.routers.routing.allocation import Allocation, Scales, allocate, scaled_tokens
from videorouter.routers.routing.options import RoutingOptions, smoothed
from videorouter.routers.routing.pooling import grids_within, pool_frames, pooled_grid
from videorouter.routers.routing.routers import ImageRouter, SemanticRouter
from videorouter.routers.systems.base import (
    CompressedVideo,
    apply_allocation,
    assembled,
    averaged,
    pool_to_counts,
    pooled_sizes,
    pooled_video,
)
from videorouter.routers.systems.frame_retention import largest_counts
from videorouter.routers.systems.query import Query, cached
from videorouter.routers.systems.remembered_states import RememberedStates
from videorouter.routers.systems.spec import ROUTED, Kind
from videorouter.routers.systems.vidcom2 import Adjustable
from videorouter.shards.policy import POLICIES, Policy


def can_be_averaged_to(small: Grid, kept: Grid) -> bool:
    """Whether tokens on the grid `small` can be averaged to the grid `kept`."""
    return small[0] >= kept[0] and small[1] >= kept[1]


def screened_video(
    small: Tensor | None,
    small_grid: Grid,
    full: TokenSource,
    grids: Mapping[int, Grid],
    grid: Grid,
    policy: Policy,
    relevance: Tensor | None,
) -> CompressedVideo:
    """The frames that `grids` names, averaged from `small` `[T, m, channels]` where that holds their grid, else from `full`.

    `small` may be None where none is needed. Of `full` only those other frames are asked for, all in one go.
    """
    in_full = sorted(
        frame for frame, kept in grids.items() if small is None or not can_be_averaged_to(small_grid, kept)
    )
    coarse = sorted(grids.keys() - set(in_full))
    pooled = averaged(full[in_full], in_full, grids, grid) if in_full else {}
    if coarse:
        assert small is not None
        pooled |= averaged(small[coarse], coarse, grids, small_grid)
    return assembled(pooled, grids, grid, len(full), policy, relevance)


LEAST_RELEVANCE = 1e-3
"""Frames below it are alike."""


def graded_grids(
    grids: Mapping[int, tuple[int, int]], relevance: Tensor, grid: tuple[int, int]
) -> dict[int, tuple[int, int]]:
    """The frames of `grids` with the same tokens in all, shared out in proportion to `relevance` `[T]`.

    None gets less than the coarsest of `grids` gives, none more than all M. What proportion leaves over goes where relevance
    would bring it next.
    """
    frames = sorted(grids)
    weights = np.maximum(relevance.double().cpu().numpy()[frames], LEAST_RELEVANCE)
    counts = largest_counts(
        weights / weights.mean(),
        math.prod(grid),
        sum(math.prod(kept) for kept in grids.values()),
        pooled_sizes(grid),
        least=min(math.prod(kept) for kept in grids.values()),
        fill_last=-weights,
    )
    return {frame: grids_within(grid)[count] for frame, count in zip(frames, counts.tolist(), strict=True)}


@dataclass(frozen=True)
class RoutedCompression:
    """The system `videorouter`. `policy` forces one; the Image Router runs only under `fragment`."""

    backbone: Backbone
    semantic: SemanticRouter
    image: ImageRouter
    scales: Scales = field(default_factory=Scales)
    threshold: float = 0.5
    policy: Policy | None = None
    options: RoutingOptions = field(default_factory=RoutingOptions)
    name: str = ROUTED
    budgeted: bool = True
    kind: Kind = "compared"
    spends_cap: bool = True

    @property
    def on_demand(self) -> bool:
        return self.options.screen_side is not None

    def compress(self, video_tokens: TokenSource, query: Query, budget: int) -> CompressedVideo:
        """Tokens of all frames, or under `screen_side` a source of them.

        Raises `ValueError` for unworkable budgets, and under `screen_side` for a query without frames or a model that cannot
        encode small ones.
        """
        if self.options.screen_side is not None:
            return self._screened(video_tokens, query, budget, self.options.screen_side)
        tokens = video_tokens if isinstance(video_tokens, Tensor) else video_tokens[list(range(len(video_tokens)))]
        policy, relevance = self.route(tokens, query)
        grid = query.grid_or(self.backbone.grid)
        grids = self._grids(policy, relevance, len(tokens), budget, grid)
        return pooled_video(tokens, grids, grid, policy, relevance)

    def least_budget(self, tokens_per_frame: int) -> int:
        """One frame at each scale that a question may lead to. Raises `ValueError` for a scale that a frame does not have."""
        scales = {
            "global": (self.scales.global_scale,),
            "fragment": (self.scales.relevant_scale, self.scales.irrelevant_scale),
        }
        reached = [scale for policy in POLICIES if self.policy in (None, policy) for scale in scales[policy]]
        return max(scaled_tokens(tokens_per_frame, scale) for scale in reached)

    def least_adjusted(self, tokens_per_frame: int) -> int:
        """The same: what is adjusted was allocated first."""
        return self.least_budget(tokens_per_frame)

    @torch.no_grad()
    def route(self, video_tokens: Tensor, query: Query) -> tuple[Policy, Tensor | None]:
        """The policy, and under `fragment` the relevance `[T]`. Routers read the first `hidden_size` channels."""
        question = self.backbone.embed_text(query.question)
        policy = self.policy_for(question)
        if policy == "global":
            return policy, None
        scores = cached(
            query.cache,
            ("relevance", self.options.router_scale),
            lambda: self._scores(video_tokens, [question], query.grid_or(self.backbone.grid), query.states)[0],
        )
        return policy, smoothed(scores, self.options.smoothing)

    @torch.no_grad()
    def policy_for(self, question: Tensor) -> Policy:
        """The policy forced, or the more probable one for an embedded question `[L, D]`; `global` where that is not confident."""
        if self.policy is not None:
            return self.policy
        probabilities = finite(self.semantic([question])[0], "the Semantic Router's score")
        best = int(probabilities.argmax())
        return POLICIES[best] if float(probabilities[best]) >= self.options.min_confidence else "global"

    @torch.no_grad()
    def relevance(self, video_tokens: Tensor, questions: Sequence[Tensor], grid: tuple[int, int]) -> Tensor:
        """`[T, M, channels]` on `grid` and Q embedded questions -> `[Q, T]`, pooled and smoothed as the options say."""
        return smoothed(self._scores(video_tokens, questions, grid), self.options.smoothing)

    def adjustable(self, video_tokens: Tensor, query: Query, budget: int) -> Adjustable:
        """Under `global` all frames that were allocated tokens; under `fragment` the irrelevant ones: relevant frames keep theirs.

        So frame compression adjustment feeds no more than routing alone, and no relevant frame loses resolution to it (ours).
        Raises `ValueError` under options that decide the tokens of a frame themselves.
        """
        if self.options.graded or self.options.screen_side:
            raise ValueError(f"frame compression adjustment cannot be put around {self.name}: leave the option out")
        policy, relevance = self.route(video_tokens, query)
        relevant = self._relevant(relevance, len(video_tokens))
        grids = self._grids(policy, relevance, len(video_tokens), budget, query.grid_or(self.backbone.grid))
        settled = {frame: math.prod(kept) for frame, kept in grids.items() if relevant[frame]}
        others = sorted(grids.keys() - settled.keys())
        return Adjustable(others, sum(math.prod(grids[frame]) for frame in others), settled, policy, relevance)

    def fed(self, video_tokens: Tensor, query: Query) -> np.ndarray:
        return pooled_sizes(query.grid_or(self.backbone.grid))

    def reduce(self, video_tokens: Tensor, query: Query, counts: Mapping[int, int]) -> CompressedVideo:
        return pool_to_counts(video_tokens, counts, query.grid_or(self.backbone.grid))

    def _scores(
        self,
        video_tokens: Tensor,
        questions: Sequence[Tensor],
        grid: tuple[int, int],
        remembered: RememberedStates | None = None,
    ) -> Tensor:
        """`relevance` before it is smoothed."""
        scale = self.options.router_scale
        seen = finite_frames(pool_frames(video_tokens[..., : self.backbone.hidden_size], scale, grid))
        states = remembered.of(self.image, seen, scale) if remembered is not None else None
        scores = self.image(seen, questions) if states is None else self.image(seen, questions, states)
        return finite(scores, "the Image Router's score")

    def _screened(self, full: TokenSource, query: Query, budget: int, side: int) -> CompressedVideo:
        if query.frames is None or len(query.frames) != len(full):
            raise ValueError(
                "screen_side looks at the frames themselves, one by one: give all as `Query(..., frames=...)`"
            )
        grid = query.grid_or(self.backbone.grid)
        question, small_grid = self.backbone.embed_text(query.question), self.backbone.grid_at(side, grid)
        policy = self.policy_for(question)
        small = relevance = None
        if policy == "fragment" or can_be_averaged_to(small_grid, pooled_grid(grid, self.scales.global_scale)):
            # A merged frame is screened by its first one, merged with itself.
            shown = np.repeat(query.frames, self.backbone.frames_per_patch, axis=0)
            small = self.backbone.encode_frames(shown, grid=small_grid)
        if policy == "fragment":
            assert small is not None
            relevance = self.relevance(small, [question], small_grid)[0]
        grids = self._grids(policy, relevance, len(full), budget, grid)
        return screened_video(small, small_grid, full, grids, grid, policy, relevance)

    def _grids(self, policy: Policy, relevance: Tensor | None, frames: int, budget: int, grid: Grid) -> dict[int, Grid]:
        """The grid to which each frame that is kept is averaged. Raises `ValueError` for unworkable budgets."""
        plan = plan_of(policy, self._relevant(relevance, frames), math.prod(grid), budget, self.scales)
        grids = {frame: pooled_grid(grid, scale) for frame, scale in zip(plan.frames, plan.scales, strict=True)}
        return graded_grids(grids, relevance, grid) if self.options.graded and relevance is not None else grids

    def _relevant(self, relevance: Tensor | None, frames: int) -> list[bool]:
        return [False] * frames if relevance is None else (relevance > self.threshold).tolist()


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
