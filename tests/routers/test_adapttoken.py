"""AdaptToken spends its budget where the model is sure and attentive, in one group's memory; Lite stops when it may."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.routers.attentive import attentive, video, with_entropies
from videorouter.routers.backbones.loading import load_backbone
from videorouter.routers.backbones.sources import LazyTokens
from videorouter.routers.systems.adapttoken import (
    AdaptToken,
    AdaptTokenLite,
    AttentionTopk,
    group_budgets,
    interleaved_groups,
)
from videorouter.routers.systems.group_inspection import Candidates, InspectedGroup
from videorouter.routers.systems.query import Query

QUERY = Query("Which one?", ("a", "b"))
SYSTEMS = [AdaptToken, AdaptTokenLite, AttentionTopk]


@given(seed=st.integers(0, 1000), budget=st.integers(1, 120), groups=st.integers(1, 12), tau=st.floats(0.1, 5))
def test_letting_go_early_changes_no_selection_and_holds_one_budget(
    seed: int, budget: int, groups: int, tau: float
) -> None:
    draw = np.random.default_rng(seed)
    candidates, all_groups = Candidates(budget, tau), []
    for number in range(groups):
        size = int(draw.integers(1, 40))
        scores = torch.from_numpy(draw.integers(0, 6, size)).float()
        tokens = torch.from_numpy(draw.normal(size=(size, 3)))
        frames = torch.arange(size) // 4 * groups + number
        group = InspectedGroup(tokens, frames, torch.arange(size) % 4, scores, -float(draw.exponential(2)))
        candidates.add(group)
        all_groups.append(group)
        assert len(candidates) <= budget + 2 * len(all_groups)
    budgets = group_budgets([g.certainty for g in all_groups], [len(g.scores) for g in all_groups], budget, tau)
    expected = {
        (int(group.frames[i]), int(group.cells[i]))
        for group, count in zip(all_groups, budgets, strict=True)
        for i in group.scores.argsort(descending=True, stable=True)[:count]
    }
    selected = candidates.selected()
    places = list(zip(selected.frames.tolist(), selected.cells.tolist(), strict=True))
    assert places == sorted(expected)


def numbered(frames: int) -> Query:
    """Frames are shown at the second that is their number."""
    return Query("Which one?", seconds=tuple(map(float, range(frames))))


@pytest.mark.parametrize("system", SYSTEMS)
@given(
    frames=st.integers(1, 60), grid=st.sampled_from([(1, 1), (2, 2), (2, 3)]), group=st.integers(1, 20),
    more=st.integers(0, 150), seed=st.integers(0, 100),
)  # fmt: skip
def test_the_budget_the_order_and_the_tokens_are_kept(
    system: type[AdaptToken], frames: int, grid: tuple[int, int], group: int, more: int, seed: int
) -> None:
    tokens, budget = video(frames, grid, seed), grid[0] * grid[1] + more
    first, second = (system(attentive(grid)[0], group_frames=group).compress(tokens, QUERY, budget) for _ in range(2))
    assert first.tokens <= budget
    if system is not AdaptTokenLite:
        assert first.tokens == min(budget, tokens.shape[0] * tokens.shape[1])
    places = list(zip(first.frames.tolist(), first.cells.tolist(), strict=True))
    assert places == sorted(set(places))
    assert torch.equal(first.embeddings, tokens[first.frames, first.cells])
    assert torch.equal(first.embeddings, second.embeddings)
    assert torch.equal(first.frames, second.frames)


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_budget_below_one_frame_and_wrong_times_are_refused(system: type[AdaptToken]) -> None:
    asked = system(attentive((4, 4))[0])
    with pytest.raises(ValueError, match="smallest workable is 16"):
        asked.compress(video(8, (4, 4)), QUERY, 15)
    with pytest.raises(ValueError, match="7 frame times for 8 frames"):
        asked.compress(video(8, (4, 4)), Query("?", seconds=tuple(range(7))), 32)
    with pytest.raises(ValueError, match=r"layer 8 is outside 0\.\.7"):
        system(attentive()[0], layer=8).compress(video(8), QUERY, 32)


def test_the_sure_group_gets_the_budget_and_attended_tokens_win() -> None:
    backbone, _ = attentive((1, 1))
    tokens = torch.rand(20, 1, 6)
    tokens[:, 0, 0] = torch.arange(20.0)
    tokens = with_entropies(tokens, [6.0 if frame % 2 else 0.0 for frame in range(20)])
    asked = AdaptToken(backbone, group_frames=19, over_selection=1.0, tau=0.5)
    assert asked.compress(tokens, QUERY, 5).frames.tolist() == [10, 12, 14, 16, 18]
    level = AttentionTopk(backbone, group_frames=19)
    assert level.compress(tokens, QUERY, 5).frames.tolist() == [14, 16, 17, 18, 19]


def test_times_tell_what_is_redundant() -> None:
    backbone, _ = attentive((1, 1))
    tokens = torch.ones(4, 1, 6)
    tokens[:, 0, 0] = torch.tensor([0.4, 0.3, 0.2, 0.1])
    apart = Query("?", seconds=(0.0, 0.1, 500.0, 900.0))
    kept = AdaptToken(backbone, over_selection=4 / 3).compress(tokens, apart, 3)
    assert kept.frames.tolist() == [0, 2, 3]


def test_positions_and_further_channels_travel_along() -> None:
    backbone, itself = attentive((2, 2), policy="original")
    itself.hidden_size = 3
    tokens = video(10, seed=5)
    kept = AdaptToken(backbone).compress(tokens, QUERY, 12)
    assert kept.positions == "original"
    assert kept.embeddings.shape == (12, 6)
    itself_changed = tokens.clone()
    itself_changed[..., 3:] += 7
    again = AdaptToken(backbone).compress(itself_changed, QUERY, 12)
    assert torch.equal(kept.frames, again.frames)
    assert torch.equal(kept.cells, again.cells)


def test_only_one_group_is_encoded_at_a_time_at_ten_thousand_frames() -> None:
    backbone, itself = attentive((2, 2))
    frames = video(10_000).numpy()
    lazy = AdaptToken(backbone).compress(LazyTokens(backbone, frames), QUERY, 700)
    assert max(itself.encoded) <= 64
    assert sum(itself.encoded) == 10_000
    assert len(itself.inspected) == 157
    assert lazy.tokens == 700
    eager = AdaptToken(backbone).compress(torch.from_numpy(frames), QUERY, 700)
    assert torch.equal(lazy.embeddings, eager.embeddings)


def test_tokens_let_go_free_their_memory() -> None:
    candidates = Candidates(40, tau=2.0)
    for number in range(6):
        tokens = torch.randn(64, 8)
        places = torch.arange(64)
        candidates.add(InspectedGroup(tokens, places * 6 + number, places * 0, torch.rand(64), -1.0))
    held = sum(kept.best.tokens.untyped_storage().nbytes() for kept in candidates._groups)
    assert held == len(candidates) * 8 * 4


def test_it_runs_on_a_real_backbone(base: Path) -> None:
    backbone = load_backbone(str(base))
    frames = np.random.default_rng(0).integers(0, 256, (12, 112, 112, 3), dtype=np.uint8)
    query = Query("Which one?", ("a", "b"), seconds=tuple(0.5 * frame for frame in range(12)))
    asked = AdaptToken(backbone, group_frames=8, max_new_tokens=2)
    lazy = asked.compress(LazyTokens(backbone, frames), query, 60)
    assert lazy.tokens == 60
    eager = asked.compress(backbone.encode_frames(frames), query, 60)
    torch.testing.assert_close(lazy.embeddings, eager.embeddings)
    prompt = backbone.embed_prompt(lazy, "Which one?", query.seconds)
    assert len(prompt.visual) == 60


def test_groups_are_asked_with_all_that_is_written_between_the_frames() -> None:
    backbone, itself = attentive()
    query = Query("Which one?", between=tuple("abcde"))
    AdaptToken(backbone, group_frames=2).compress(video(4), query, 8)
    assert interleaved_groups(4, 2) == [[0, 3], [1], [2]]
    assert itself.written == [["a", "bcd", "e"], ["ab", "cde"], ["abc", "de"]]
    AdaptToken(backbone, group_frames=4).compress(video(4), Query("Which one?"), 8)
    assert itself.written[-1] is None


def test_lite_stops_after_the_confident_groups_and_reads_no_others() -> None:
    backbone, itself = attentive((2, 2))
    frames = 1024
    groups = len(interleaved_groups(frames))
    sure_after = groups // 2 - 1
    told = with_entropies(video(frames), [0.01 if frame in (0, sure_after) else 3.0 for frame in range(frames)])
    kept = AdaptTokenLite(backbone).compress(LazyTokens(backbone, told.numpy()), numbered(frames), 256)
    lite = sum(map(len, itself.inspected))
    assert kept.tokens == 256
    assert set(kept.frames.tolist()) <= {frame for group in itself.inspected for frame in group}
    itself.inspected.clear()
    AdaptToken(backbone).compress(LazyTokens(backbone, told.numpy()), numbered(frames), 256)
    assert lite <= 0.55 * sum(map(len, itself.inspected))


def test_lite_without_confident_groups_is_adapttoken() -> None:
    backbone, itself = attentive((2, 2))
    told = with_entropies(video(200), [3.0] * 200)
    lite, full = (system(backbone).compress(told, numbered(200), 100) for system in (AdaptTokenLite, AdaptToken))
    assert torch.equal(lite.embeddings, full.embeddings)
    itself.inspected.clear()
    AdaptTokenLite(backbone, far_apart=True).compress(told, numbered(200), 100)
    assert [group[0] for group in itself.inspected] == [0, 2, 1, 3]


def test_reference_layers_are_the_published_ones_or_lie_at_0_55_of_the_depth() -> None:
    backbone, itself = attentive()
    AdaptToken(backbone).compress(video(4), QUERY, 4)
    assert itself.asked[-1] == (4, 16)
    for path, layers, expected in (
        ("Qwen/Qwen2.5-VL-7B-Instruct", 28, 20), ("/models/InternVL2_5-8B-hf", 32, 15), ("lmms-lab/LLaVA-Video-7B-Qwen2", 28, 19),
        ("OpenGVLab/InternVL3-8B-hf", 28, 15), ("lmms-lab/LLaVA-Video-72B-Qwen2", 80, 44), ("tiny", 1, 0),
    ):  # fmt: skip
        itself.path, itself.layers, itself.readable_layers = path, layers, range(layers)
        AdaptToken(backbone).compress(video(4), QUERY, 4)
        assert itself.asked[-1][0] == expected, path
