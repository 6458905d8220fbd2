"""The threshold finds the share of evidence that is asked for; recall and calibration are what they say."""

from itertools import permutations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from videorouter.routers.routing.metrics import (
    calibration_error,
    recall_among_best,
    recall_and_precision,
    threshold_for_recall,
)


@given(
    st.lists(
        st.tuples(st.integers(1, 99).map(lambda hundredths: hundredths / 100), st.booleans()), min_size=1, max_size=60
    ),
    st.floats(0.05, 1.0),
)
def test_the_threshold_is_the_highest_that_finds_the_wanted_share(
    rows: list[tuple[float, bool]], wanted: float
) -> None:
    scores, labels = torch.tensor([score for score, _ in rows]), torch.tensor([label for _, label in rows])
    threshold = threshold_for_recall(scores, labels, wanted)
    if not labels.any():
        assert threshold == 0.5
        return
    positive = scores[labels]
    assert (positive > threshold).double().mean() >= wanted - 1e-9
    higher = positive[positive > threshold].min()
    assert (positive > higher).double().mean() < wanted + 1e-9


def test_a_share_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="give a number above 0, at most 1"):
        threshold_for_recall(torch.tensor([0.5]), torch.tensor([True]), 0.0)


def test_calibrated_scores_have_no_error_and_boasting_ones_have() -> None:
    labels = torch.tensor([True] * 8 + [False] * 2)
    assert calibration_error(torch.full((10,), 0.8), labels) == pytest.approx(0, abs=1e-6)
    assert calibration_error(torch.full((10,), 0.3), labels) == pytest.approx(0.5, abs=1e-6)


def test_recall_and_precision_count_what_lies_above_the_threshold() -> None:
    scores, labels = torch.tensor([0.9, 0.5, 0.7, 0.1]), torch.tensor([True, True, False, False])
    assert recall_and_precision(scores, labels, 0.5) == (0.5, 0.5)
    assert recall_and_precision(scores, labels, 0.95) == (0, 0)


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=6), st.data())
def test_equal_scores_share_the_places_among_the_best(rows: list[tuple[int, bool]], data: st.DataObject) -> None:
    count = data.draw(st.integers(1, len(rows)))
    if not any(label for _, label in rows):
        return
    best = [sorted(order, key=lambda row: -row[0])[:count] for order in permutations(rows)]
    mean = sum(sum(label for _, label in those) for those in best) / len(best) / sum(label for _, label in rows)
    scores, labels = torch.tensor([float(score) for score, _ in rows]), torch.tensor([label for _, label in rows])
    assert recall_among_best(scores, labels, count) == pytest.approx(mean)
