"""What every system promises, whatever the video's shape: its budget, temporal order, determinism, whole tokens."""

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from videorouter.routers.routing.allocation import Scales
from videorouter.routers.systems.base import CompressedVideo, System
from videorouter.routers.systems.query import Query, Truth
from videorouter.routers.systems.registry import SYSTEMS, SystemOptions, build_system
from videorouter.routers.systems.relevance_pooling import RelevancePooling
from videorouter.routers.systems.videorouter import RoutedCompression
from videorouter.shards.policy import POLICIES, Policy

HIDDEN, FURTHER = 8, 3
RUN_THE_MODEL = {"attention_topk", "adapttoken", "adapttoken_lite"}
MODEL_FREE = [name for name in SYSTEMS if name not in RUN_THE_MODEL]
SELECT = {"dense", "frame_budget", "random_drop", "vidcom2", "fca+random_drop"}
"""Systems that keep tokens as they are."""


@dataclass
class Video:
    """Tokens `[T, M, HIDDEN + FURTHER]` on a grid, and a question about them."""

    tokens: torch.Tensor
    grid: tuple[int, int]
    query: Query
    policy: Policy

    def on_its_own_grid(self) -> "Video":
        """The same, where the grid is the video's and the model has none."""
        return replace(self, query=replace(self.query, grid=self.grid))


@st.composite
def videos(draw: st.DrawFn) -> Video:
    frames, rows, columns = draw(st.integers(1, 20)), draw(st.integers(2, 7)), draw(st.integers(2, 7))
    seed = draw(st.integers(0, 10**6))
    policy: Policy = draw(st.sampled_from(POLICIES))
    tokens = torch.randn(frames, rows * columns, HIDDEN + FURTHER, generator=torch.Generator().manual_seed(seed))
    relevant = tuple((np.random.default_rng(seed).random(frames) < 0.3).tolist())
    pictures = np.zeros((frames, 1, 1, 3), dtype=np.uint8)
    return Video(
        tokens, (rows, columns), Query(f"Which {seed}?", None, Truth(policy, relevant), None, pictures), policy
    )


def system_for(name: str, video: Video, fill: bool = False) -> System:
    """`name` with routers and an encoder that know the truth, and no model."""
    assert video.query.truth is not None
    relevance = torch.tensor(video.query.truth.relevant).float()
    certain = [float(policy == video.policy) for policy in POLICIES]

    def image(tokens: torch.Tensor, questions: list[torch.Tensor]) -> torch.Tensor:
        assert tokens.shape[-1] == HIDDEN
        return relevance[None]

    usual = None if video.query.grid else video.grid
    backbone = SimpleNamespace(
        grid=usual, hidden_size=HIDDEN, embed_text=lambda text: torch.zeros(1, HIDDEN), device="cpu"
    )
    router = RoutedCompression(
        cast(Any, backbone), cast(Any, lambda questions: torch.tensor([certain])), cast(Any, image)
    )
    if name == "relevance_pooling":
        encoder = SimpleNamespace(embed_frames=lambda frames: relevance[:, None], embed_text=lambda text: torch.ones(1))
        return RelevancePooling(usual, lambda: cast(Any, encoder))
    return build_system(name, router, SystemOptions(fill=fill))


def smallest_budget(name: str, video: Video) -> int:
    """What the smallest frame the system makes needs, or a token a frame where it selects tokens."""
    frames, per_frame = video.tokens.shape[:2]
    scales = Scales()
    if name in ("vidcom2", "random_drop", "fca+random_drop", "fca+uniform_pooling"):
        return min(frames, per_frame)
    if name == "relevance_pooling":
        return per_frame // scales.irrelevant_scale
    if name == "frame_budget":
        return per_frame
    assert video.query.truth is not None
    if name == "uniform_pooling" or video.policy == "global":
        return per_frame // scales.global_scale
    return per_frame // (scales.relevant_scale if any(video.query.truth.relevant) else scales.irrelevant_scale)


@pytest.mark.parametrize(
    ("name", "fill"),
    [(name, False) for name in MODEL_FREE]
    + [(name, True) for name in MODEL_FREE if "fca+" in name or name == "vidcom2"],
)
@settings(max_examples=40)
@given(videos(), st.floats(0, 1.2))
def test_budget_order_and_determinism_hold_for_every_shape(name: str, fill: bool, video: Video, share: float) -> None:
    system = system_for(name, video, fill)
    frames, per_frame = video.tokens.shape[:2]
    budget = max(per_frame, int(share * frames * per_frame))
    kept = system.compress(video.tokens, video.query, budget)
    assert system.name == name
    assert 0 < kept.tokens == len(kept.frames) == len(kept.cells) == sum(span.tokens for span in kept.spans)
    assert kept.tokens <= (budget if system.budgeted else frames * per_frame)
    places = (kept.frames * per_frame + kept.cells).tolist()
    assert places == sorted(set(places))
    assert kept.frames.max() < frames
    assert kept.cells.max() < per_frame
    assert kept.embeddings.shape[1] == HIDDEN + FURTHER
    if name in SELECT:
        assert torch.equal(kept.embeddings, video.tokens[kept.frames, kept.cells])
    assert same(kept, system_for(name, video, fill).compress(video.tokens, video.query, budget))


@pytest.mark.parametrize("name", MODEL_FREE)
@settings(max_examples=15)
@given(videos(), st.floats(0, 1.2))
def test_a_grid_that_comes_with_the_video_is_as_good_as_the_models_own(name: str, video: Video, share: float) -> None:
    frames, per_frame = video.tokens.shape[:2]
    budget, own = max(per_frame, int(share * frames * per_frame)), video.on_its_own_grid()
    kept = system_for(name, own).compress(own.tokens, own.query, budget)
    assert kept.grid == video.grid
    assert same(kept, system_for(name, video).compress(video.tokens, video.query, budget))


@pytest.mark.parametrize("name", [name for name in MODEL_FREE if name != "dense"])
@settings(max_examples=40)
@given(videos())
def test_a_budget_too_small_for_one_frame_is_refused(name: str, video: Video) -> None:
    system, least = system_for(name, video), smallest_budget(name, video)
    with pytest.raises(ValueError, match=r"budget of .* cannot hold one frame .*smallest workable is \d+"):
        system.compress(video.tokens, video.query, least - 1)
    if name != "relevance_pooling":
        assert system.compress(video.tokens, video.query, least).tokens <= least


@pytest.mark.parametrize("name", ["random_drop", "vidcom2", "fca+random_drop"])
@given(videos(), st.floats(0, 1.2))
def test_filled_selections_spend_the_whole_budget(name: str, video: Video, share: float) -> None:
    frames, per_frame = video.tokens.shape[:2]
    budget = max(per_frame, int(share * frames * per_frame))
    kept = system_for(name, video, fill=True).compress(video.tokens, video.query, budget)
    assert kept.tokens == min(budget, frames * per_frame)


@given(videos(), st.floats(0, 1))
def test_a_larger_budget_keeps_what_random_drop_kept_before(video: Video, share: float) -> None:
    frames, per_frame = video.tokens.shape[:2]
    system, budget = system_for("random_drop", video), max(frames, int(share * frames * per_frame))
    assume(budget >= per_frame)
    smaller, larger = (system.compress(video.tokens, video.query, b) for b in (budget, budget + frames))
    places = [set((kept.frames * per_frame + kept.cells).tolist()) for kept in (smaller, larger)]
    assert places[0] <= places[1]


@given(videos(), st.integers(0, 400))
def test_adjustment_feeds_no_more_than_routing_and_keeps_relevant_frames_whole(video: Video, extra: int) -> None:
    per_frame = video.tokens.shape[1]
    plain, adjusted = (
        system_for(name, video, fill=True).compress(video.tokens, video.query, per_frame + extra)
        for name in ("videorouter", "fca+videorouter")
    )
    assert adjusted.tokens <= plain.tokens <= per_frame + extra
    assert adjusted.policy == plain.policy == video.policy
    if video.policy == "fragment" and video.query.truth is not None:
        whole = [span.frame for span in plain.spans if video.query.truth.relevant[span.frame]]
        for frame in whole:
            assert torch.equal(adjusted.embeddings[adjusted.frames == frame], video.tokens[frame])


def same(first: CompressedVideo, second: CompressedVideo) -> bool:
    return all(torch.equal(getattr(first, n), getattr(second, n)) for n in ("embeddings", "frames", "cells"))


def test_random_drop_differs_by_seed_and_question() -> None:
    tokens = torch.randn(6, 16, 4)
    options = [(seed, question) for seed in (0, 1) for question in ("Who?", "Where?")]
    kept = [
        build_system("random_drop", cast(Any, SimpleNamespace()), SystemOptions(seed=seed)).compress(
            tokens, Query(question), 30
        )
        for seed, question in options
    ]
    assert len({tuple(k.cells.tolist()) for k in kept}) == 4
    assert all([span.tokens for span in k.spans] == [5] * 6 for k in kept)


def test_names_that_are_no_systems_are_refused_with_the_list() -> None:
    for name in ("magic", "fca+dense", "fca+vidcom2", "fca+"):
        with pytest.raises(ValueError, match=r"unknown system .*uniform_pooling.*fca\+videorouter"):
            build_system(name, cast(Any, SimpleNamespace()))
