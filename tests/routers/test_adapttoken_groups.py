"""Interleaved groups span the video; budgets follow certainty, spend all there is, and overfill no group."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from videorouter.routers.systems.adapttoken import certainty, group_budgets, interleaved_groups
from videorouter.routers.systems.group_inspection import bit_reversed, group_shares


@given(n=st.integers(1, 3000), k=st.integers(1, 100))
def test_groups_share_out_all_frames_and_each_spans_the_video(n: int, k: int) -> None:
    groups = interleaved_groups(n, k)
    assert sorted(frame for group in groups for frame in group) == list(range(n))
    assert len(groups) == min(n, n // k + 1)
    assert max(map(len, groups)) <= k
    assert all(np.diff(group).tolist() == [n // k + 1] * (len(group) - 1) for group in groups)


def test_ten_thousand_frames_are_157_groups() -> None:
    groups = interleaved_groups(10_000, 64)
    assert len(groups) == 157
    assert groups[3][:3] == [3, 160, 317]
    with pytest.raises(ValueError, match="at least 1"):
        interleaved_groups(0, 64)


def test_bit_reversal_visits_every_group_once_and_far_apart() -> None:
    assert bit_reversed(8) == [0, 4, 2, 6, 1, 5, 3, 7]
    assert all(sorted(bit_reversed(count)) == list(range(count)) for count in range(1, 70))


def test_certainty_is_that_of_the_least_certain_tenth() -> None:
    assert certainty([0.0] * 18 + [3.0, 1.0]) == -2.0
    assert certainty([0.5]) == -0.5
    assert certainty([0.1, 0.4, 0.2]) == -0.4
    with pytest.raises(ValueError, match="without tokens"):
        certainty([])


GROUPS = st.lists(st.tuples(st.floats(-12, 0), st.integers(0, 40)), max_size=8)


@given(groups=GROUPS, budget=st.integers(0, 200), tau=st.floats(0.01, 10))
def test_group_budgets_spend_all_there_is_and_never_more_than_a_group_has(
    groups: list[tuple[float, int]], budget: int, tau: float
) -> None:
    sure, sizes = [c for c, _ in groups], [size for _, size in groups]
    budgets = group_budgets(sure, sizes, budget, tau)
    assert sum(budgets) == min(budget, sum(sizes))
    assert all(0 <= given <= size for given, size in zip(budgets, sizes, strict=True))
    shares = group_shares(sure, sizes, budget, tau)
    assert all(abs(whole - share) < 1 + 1e-6 for whole, share in zip(budgets, shares, strict=True))


@given(groups=GROUPS, budget=st.integers(0, 200))
def test_a_surer_group_of_equal_size_gets_no_less(groups: list[tuple[float, int]], budget: int) -> None:
    sure = [c for c, _ in groups]
    budgets = group_budgets(sure, [40] * len(groups), budget)
    order = sorted(range(len(sure)), key=lambda g: sure[g])
    assert all(budgets[a] <= budgets[b] or sure[b] - sure[a] < 1e-9 for a, b in pairwise(order))


@given(groups=GROUPS, budget=st.integers(0, 200))
def test_a_share_never_grows_as_groups_come(groups: list[tuple[float, int]], budget: int) -> None:
    sure, sizes = [c for c, _ in groups], [size for _, size in groups]
    for count in range(1, len(groups)):
        before = group_shares(sure[:count], sizes[:count], budget)
        after = group_shares(sure[: count + 1], sizes[: count + 1], budget)
        assert all(new <= old + 1e-6 for new, old in zip(after, before, strict=False))


def test_group_budgets_by_hand() -> None:
    assert group_budgets([0.0, 0.0, 0.0], [10, 10, 10], 10) == [4, 3, 3]
    assert group_budgets([0.0, -2 * math.log(3)], [100, 100], 40) == [30, 10]
    assert group_budgets([0.0, -2 * math.log(3), -2 * math.log(3)], [5, 100, 100], 25) == [5, 10, 10]
    for wrong in (([0.0], [1, 2], 3), ([math.nan], [5], 3), ([0.0], [5], -1), ([0.0], [5], 1, 0.0)):
        with pytest.raises(ValueError, match=r"certaint|budget|tau"):
            group_budgets(*wrong)
