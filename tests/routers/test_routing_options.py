"""What VideoRouter may do beyond the paper changes what is said of it, and nothing else."""

import math
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.routers.tiny_backbones import video, write_tiny
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.backbones.loading import load_backbone
from videorouter.routers.backbones.sources import LazyTokens
from videorouter.routers.routing.allocation import Scales
from videorouter.routers.routing.options import RoutingOptions, smoothed
from videorouter.routers.routing.pooling import pool_frames, pool_to
from videorouter.routers.systems.query import Query
from videorouter.routers.systems.videorouter import RoutedCompression

HIDDEN, GRID = 8, (4, 4)
PER_FRAME = math.prod(GRID)


def routed(relevance: list[float], fragment: float = 1.0, **options: Any) -> tuple[RoutedCompression, list[int]]:
    """A system whose routers say what the test wants, and the tokens a frame that its Image Router was shown."""
    shown: list[int] = []

    def image(tokens: torch.Tensor, questions: list[torch.Tensor]) -> torch.Tensor:
        shown.append(tokens.shape[1])
        return torch.tensor([relevance])

    backbone = SimpleNamespace(grid=GRID, hidden_size=HIDDEN, embed_text=lambda text: torch.zeros(1, HIDDEN))
    system = RoutedCompression(
        cast(Any, backbone),
        cast(Any, lambda questions: torch.tensor([[1 - fragment, fragment]])),
        cast(Any, image),
        scales=Scales(4, 1, 8),
        options=RoutingOptions(**options),
    )
    return system, shown


RELEVANCES = st.lists(st.floats(0, 1), min_size=2, max_size=24)


@given(RELEVANCES, st.integers(0, 200))
def test_graded_frames_cost_what_two_scales_cost_and_follow_relevance(relevance: list[float], extra: int) -> None:
    tokens, query = torch.randn(len(relevance), PER_FRAME, HIDDEN), Query("Which?")
    plain, graded = (routed(relevance, graded=on)[0].compress(tokens, query, PER_FRAME + extra) for on in (False, True))
    assert [span.frame for span in plain.spans] == [span.frame for span in graded.spans]
    assert plain.tokens - PER_FRAME // 2 < graded.tokens <= plain.tokens
    by_relevance = sorted(graded.spans, key=lambda span: relevance[span.frame])
    for less, more in pairwise(by_relevance):
        if relevance[less.frame] < relevance[more.frame] - 1e-6 and relevance[more.frame] > 2e-3:
            assert less.tokens <= more.tokens


@pytest.mark.parametrize(("fragment", "policy"), [(0.8, "fragment"), (0.7, "global"), (0.3, "global")])
def test_a_router_that_is_not_sure_gives_way_to_global(fragment: float, policy: str) -> None:
    system, _ = routed([0.9, 0.1], fragment, min_confidence=0.75)
    assert system.compress(torch.randn(2, PER_FRAME, HIDDEN), Query("Which?"), 64).policy == policy


def test_a_pooled_router_reads_fewer_tokens_and_the_model_as_many() -> None:
    tokens = torch.randn(3, PER_FRAME, HIDDEN)
    for scale in (1, 4):
        system, shown = routed([0.9, 0.1, 0.1], router_scale=scale)
        kept = system.compress(tokens, Query("Which?"), 64)
        assert shown == [PER_FRAME // scale]
        assert [span.tokens for span in kept.spans] == [16, 2, 2]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.integers(0, 5))
def test_smoothing_is_a_mean_over_neighbours(relevance: list[float], neighbours: int) -> None:
    given_, made = torch.tensor(relevance), smoothed(torch.tensor(relevance), neighbours)
    assert made.shape == given_.shape
    for place in range(len(relevance)):
        weights = {
            other: neighbours + 1 - abs(other - place)
            for other in range(len(relevance))
            if abs(other - place) <= neighbours
        }
        expected = sum(w * relevance[o] for o, w in weights.items()) / sum(weights.values())
        assert float(made[place]) == pytest.approx(expected, abs=1e-5)


class Counted(LazyTokens):
    """Remembers which frames were encoded in full."""

    def __getitem__(self, frames: list[int], /) -> torch.Tensor:
        ASKED.extend(frames)
        return super().__getitem__(frames)


ASKED: list[int] = []


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """InternVL with position embeddings, as the real ones have."""
    folder = tmp_path_factory.mktemp("screened") / "model"
    return load_backbone(str(write_tiny(folder, "internvl", vision={"use_absolute_position_embeddings": True})))


def screened(tiny: Any, policy: Any, relevance: list[float], scales: Scales) -> tuple[Any, np.ndarray]:
    ASKED.clear()
    image = cast(Any, lambda tokens, questions: torch.tensor([relevance]))
    options = RoutingOptions(screen_side=56)
    system = RoutedCompression(tiny, cast(Any, None), image, scales=scales, policy=policy, options=options)
    frames = video(len(relevance))
    assert system.on_demand
    return system.compress(Counted(tiny, frames), Query("Which?", frames=frames), 200), frames


def test_only_relevant_frames_are_encoded_in_full(tiny: Any) -> None:
    kept, frames = screened(tiny, "fragment", [0.1, 0.9, 0.2, 0.8], Scales(4, 1, 8))
    assert ASKED == [1, 3]
    small, full = tiny.encode_frames(frames, grid=tiny.grid_at(56)), tiny.encode_frames(frames)
    assert small.shape[1] == 4
    assert [span.tokens for span in kept.spans] == [2, 16, 2, 16]
    torch.testing.assert_close(kept.embeddings[kept.frames == 1], full[1])
    torch.testing.assert_close(kept.embeddings[kept.frames == 2], pool_to(small[2:3], (2, 1), (2, 2))[0])
    assert kept.cells[kept.frames == 2].tolist() == [0, 8]


def test_a_coarse_global_policy_encodes_no_frame_in_full(tiny: Any) -> None:
    kept, frames = screened(tiny, "global", [0.0] * 4, Scales(4, 1, 8))
    assert ASKED == []
    torch.testing.assert_close(kept.embeddings, tiny.encode_frames(frames, grid=tiny.grid_at(56)).flatten(0, 1))


def test_where_small_frames_do_not_hold_the_tokens_all_are_encoded_once(tiny: Any) -> None:
    kept, frames = screened(tiny, "global", [0.0] * 4, Scales(2, 1, 4))
    assert ASKED == [0, 1, 2, 3]
    torch.testing.assert_close(kept.embeddings, pool_frames(tiny.encode_frames(frames), 2, (4, 4)).flatten(0, 1))


def test_a_side_that_holds_no_whole_cells_is_refused(tiny: Any) -> None:
    with pytest.raises(ValueError, match="needs a multiple of 28"):
        tiny.encode_frames(video(1), grid=tiny.grid_at(50))


def test_a_model_that_sees_one_size_alone_says_so(tmp_path: Path) -> None:
    llava = load_backbone(str(write_tiny(tmp_path / "model", "llava_onevision")))
    with pytest.raises(ValueError, match="encodes frames of 70 alone"):
        llava.encode_frames(video(1), grid=llava.grid_at(56))


def test_the_export_remembers_its_options(router: Path, tmp_path: Path) -> None:
    loaded = VideoRouter.from_pretrained(router)
    assert loaded.config.routing == RoutingOptions()
    changed = VideoRouter(
        loaded.backbone,
        type(loaded.config)(**{**vars(loaded.config), "routing": RoutingOptions(smoothing=2, router_scale=4)}),
        loaded.semantic,
        loaded.image,
    )
    changed.save_pretrained(tmp_path / "router")
    again = VideoRouter.from_pretrained(tmp_path / "router")
    assert again.config.routing == RoutingOptions(smoothing=2, router_scale=4)
    assert cast(Any, again.system()).options.smoothing == 2
