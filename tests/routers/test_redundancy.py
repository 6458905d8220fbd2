"""Redundancy removal is its rule word for word, at any number of pairs held at once."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor

from videorouter.routers.systems.adapttoken import remove_redundant
from videorouter.routers.systems.redundancy import Similarities


def brute_force(
    features: Tensor, scores: Sequence[float], times: Sequence[float], cells: Sequence[tuple[int, int]], keep: int,
    sigma_t: float,
) -> list[int]:  # fmt: skip
    """The rule, word for word: the most similar kept pair loses its less attended member, until `keep` remain."""
    kept = list(range(len(features)))

    def likeness(i: int, j: int) -> float:
        cosine = torch.nn.functional.cosine_similarity(features[i], features[j], dim=0).item()
        return cosine * math.exp(-abs(times[i] - times[j]) / sigma_t)

    while len(kept) > keep:
        pairs = [
            (-float(f"{likeness(i, j):.9g}"), i, j)
            for i in kept
            for j in kept
            if i < j and max(abs(cells[i][0] - cells[j][0]), abs(cells[i][1] - cells[j][1])) <= 1
        ]
        if pairs:
            _, i, j = min(pairs)
            kept.remove(i if scores[i] < scores[j] else j)
        else:
            kept.remove(min(kept, key=lambda token: (scores[token], -token)))
    return kept


@example(count=8, rows=1, columns=1, spare=4, sigma_t=0.5, seed=3)  # pairs so far apart in time that all are near 0
@given(
    count=st.integers(0, 24), rows=st.integers(1, 5), columns=st.integers(1, 5), spare=st.integers(0, 24),
    sigma_t=st.floats(0.5, 50), seed=st.integers(0, 10_000),
)  # fmt: skip
def test_removal_is_the_rule_word_for_word(
    count: int, rows: int, columns: int, spare: int, sigma_t: float, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    features = torch.from_numpy(draw.normal(size=(count, 5)))
    scores = draw.integers(0, 4, count).astype(float).tolist()
    times = draw.uniform(0, 30, count).tolist()
    cells = [
        (int(r), int(c)) for r, c in zip(draw.integers(0, rows, count), draw.integers(0, columns, count), strict=True)
    ]
    keep = max(0, count - spare)
    kept = remove_redundant(features, scores, times, cells, keep, sigma_t)
    assert kept.tolist() == brute_force(features, scores, times, cells, keep, sigma_t)


@pytest.mark.parametrize("pairs_a_round", [3, 40])
def test_rounds_of_few_pairs_remove_the_same(pairs_a_round: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(3)
    features, scores = torch.from_numpy(draw.normal(size=(120, 8))), torch.from_numpy(draw.normal(size=120))
    times, cells = torch.from_numpy(draw.uniform(0, 60, 120)), torch.from_numpy(draw.integers(0, 6, (120, 2)))
    expected = remove_redundant(features, scores, times, cells, 50)
    top = Similarities.top
    monkeypatch.setattr(Similarities, "top", lambda self, alive, count: top(self, alive, pairs_a_round))
    monkeypatch.setattr("videorouter.routers.systems.redundancy.ROWS_AT_ONCE", 5)
    assert remove_redundant(features, scores, times, cells, 50).tolist() == expected.tolist()


def test_alike_tokens_go_and_flat_cells_know_no_neighbours() -> None:
    features = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [1.0, 0.05]])
    scores, times = [0.2, 0.9, 0.1, 0.3], [0.0, 0.0, 0.0, 500.0]
    assert remove_redundant(features, scores, times, [4, 4, 4, 4], 3).tolist() == [1, 2, 3]
    assert remove_redundant(features, scores, times, [(0, 0), (1, 1), (5, 5), (0, 0)], 3).tolist() == [1, 2, 3]
    assert remove_redundant(features, scores, times, [0, 1, 2, 3], 3).tolist() == [0, 1, 3]
    with pytest.raises(ValueError, match="3 features need"):
        remove_redundant(features[:3], scores, times, [0, 1, 2], 2)
    with pytest.raises(ValueError, match="sigma_t"):
        remove_redundant(features, scores, times, [0, 1, 2, 3], 2, sigma_t=0)
