"""Frame compression adjustment gives unusual frames more of any reducer's tokens, and never more than there were."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from videorouter.routers.routing.pooling import grids_within, pool_frames
from videorouter.routers.systems.frame_retention import fitting_counts, frames_within, retention_factors, token_counts
from videorouter.routers.systems.query import Query
from videorouter.routers.systems.random_drop import RandomDrop
from videorouter.routers.systems.uniform_pooling import UniformPooling
from videorouter.routers.systems.vidcom2 import FrameCompressionAdjustment, keep_indices, token_similarity

QUERY = Query("Which one?")
GRID = (4, 4)


def one_odd_frame(frames: int = 8, odd: int = 5) -> torch.Tensor:
    """Sixteen tokens a frame, noisy copies of one direction; those of frame `odd` of another."""
    draw = torch.Generator().manual_seed(0)
    tokens = torch.randn(1, 1, 24, generator=draw) + 0.3 * torch.randn(frames, 16, 24, generator=draw)
    tokens[odd] += torch.randn(24, generator=draw)
    return tokens


@pytest.mark.parametrize("inner", [RandomDrop(), UniformPooling(GRID)])
def test_the_odd_frame_gets_more_and_the_others_less(inner: RandomDrop | UniformPooling) -> None:
    kept = FrameCompressionAdjustment(inner).compress(one_odd_frame(), QUERY, 48)
    counts = {span.frame: span.tokens for span in kept.spans}
    assert set(counts) == set(range(8))
    assert counts.pop(5) > max(counts.values())
    assert kept.tokens <= 48


def test_random_drop_is_adjusted_by_vidcom2s_own_counts() -> None:
    tokens = one_odd_frame()
    kept = FrameCompressionAdjustment(RandomDrop()).compress(tokens, QUERY, len(keep_indices(tokens, 0.3)))
    own = torch.bincount(keep_indices(tokens, 0.3) // 16)
    assert torch.bincount(kept.frames).tolist() == own.tolist()


def test_a_pooled_frame_is_the_average_on_its_own_grid() -> None:
    tokens = one_odd_frame()
    kept = FrameCompressionAdjustment(UniformPooling(GRID)).compress(tokens, QUERY, 44)
    for span in kept.spans:
        assert span.tokens in {rows * columns for rows, columns in grids_within(GRID)}
        if span.tokens == 4:
            assert torch.equal(kept.embeddings[kept.frames == span.frame], pool_frames(tokens, 4, GRID)[span.frame])
    assert 4 in {span.tokens for span in kept.spans}


@given(st.integers(0, 10**6), st.integers(1, 20), st.integers(1, 40), st.integers(1, 900))
def test_counts_grow_with_retention_and_the_largest_that_fits_is_found(
    seed: int, frames: int, per_frame: int, budget: int
) -> None:
    similarity = torch.tensor(np.random.default_rng(seed).normal(size=(frames, per_frame)) * 0.01)
    factors = retention_factors(similarity)
    assert factors.mean() == pytest.approx(1)
    assert factors.min() >= 1 - 1 / frames - 1e-9
    assert factors.max() <= 2 - 1 / frames + 1e-9
    grid = [token_counts(factors, r, per_frame) for r in np.linspace(0, 2, 80)]
    assert all((later >= earlier).all() for earlier, later in pairwise(grid))
    if budget < frames:
        with pytest.raises(ValueError, match="cannot hold 1 of each"):
            fitting_counts(similarity, per_frame, budget)
        return
    found = fitting_counts(similarity, per_frame, budget)
    assert found.sum() <= budget
    assert found.sum() >= max(counts.sum() for counts in grid if counts.sum() <= budget)
    assert found.min() >= 1
    assert found.max() <= per_frame
    filled = fitting_counts(similarity, per_frame, budget, fill=True)
    assert filled.sum() == min(budget, frames * per_frame)
    assert set((filled - found).tolist()) <= {0, 1}


@given(st.integers(1, 20), st.integers(1, 20))
def test_grids_within_a_count_are_the_finest_even_ones(rows: int, columns: int) -> None:
    grids = grids_within((rows, columns))
    cells = [r * c for r, c in grids]
    assert len(grids) == rows * columns + 1
    assert cells == sorted(cells)
    assert all(cell <= max(1, count) for count, cell in enumerate(cells))
    assert grids[-1] == (rows, columns)
    assert all(r <= rows and c <= columns for r, c in grids)


def test_a_prime_count_becomes_no_row_of_cells() -> None:
    assert grids_within((16, 16))[13] == (4, 3)
    assert grids_within((16, 16))[128] == (16, 8)


def test_under_fewer_tokens_than_frames_a_uniform_subset_keeps_one_each() -> None:
    kept = FrameCompressionAdjustment(RandomDrop()).compress(torch.randn(40, 16, 8), QUERY, 20)
    assert [span.tokens for span in kept.spans] == [1] * 20
    with pytest.raises(ValueError, match="the smallest workable is 16"):
        frames_within(40, 16, 15)


@pytest.mark.parametrize("build", [RandomDrop, lambda: UniformPooling(GRID)])
def test_scores_read_the_models_channels_alone(build: Callable[[], RandomDrop | UniformPooling]) -> None:
    tokens = one_odd_frame()
    noisy = torch.cat([tokens, 100 * torch.randn(8, 16, 5)], dim=-1)
    plain = FrameCompressionAdjustment(build()).compress(tokens, QUERY, 50)
    whole = FrameCompressionAdjustment(build(), width=24).compress(noisy, QUERY, 50)
    assert whole.cells.tolist() == plain.cells.tolist()
    torch.testing.assert_close(whole.embeddings[:, :24], plain.embeddings)
    assert token_similarity(tokens).to_video.mean(1).argmin() == 5
