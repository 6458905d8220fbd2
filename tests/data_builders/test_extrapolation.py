"""Intervals hold the truth as often as they say, on populations of videos that differ as real ones do."""

import math

import numpy as np
import pytest

from videorouter.data_builders.building.extrapolation import Interval, left_to_pay, spread, total
from videorouter.data_builders.qtr.probe_draws import Split, drawn_probes

SEEDS = 300


def population(seed: int, videos: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Questions of each video, 1 to 20, and its requests: three a question, some corrected, a few videos broken."""
    random = np.random.default_rng(seed)
    questions = random.integers(1, 21, videos)
    requests = 3 * questions + random.binomial(3 * questions, 0.2) + random.binomial(questions, 0.5)
    return questions.astype(float), np.where(random.random(videos) < 0.03, 0, requests).astype(float)


def share_held(count: int, by_question: bool) -> tuple[float, float]:
    """How often the interval from `count` videos holds the truth, and its mean width as a share of that."""
    held, widths = 0, []
    for seed in range(SEEDS):
        questions, requests = population(seed)
        places = spread(len(questions), count)
        weights = questions if by_question else np.ones(len(questions))
        found = total(list(requests[places]), list(weights[places]), list(weights))
        held += found.holds(requests.sum())
        widths.append((found.high - found.low) / requests.sum())
    return held / SEEDS, float(np.mean(widths))


@pytest.mark.parametrize("count", [4, 8, 20])
def test_the_interval_holds_the_truth_and_questions_make_it_narrower(count: int) -> None:
    held, width = share_held(count, by_question=True)
    assert held >= 0.92
    assert width < 0.7 * share_held(count, by_question=False)[1]


def test_a_sample_of_all_is_exact_and_one_of_one_is_open() -> None:
    assert total([3.0, 5.0], [1.0, 2.0], [1.0, 2.0]) == Interval.exactly(8.0)
    alone = total([3.0], [1.0], [1.0, 2.0])
    assert alone.value == pytest.approx(9, abs=1)
    assert alone.low == 3
    assert math.isinf(alone.high)
    assert alone.told().endswith("(3-?)")


def test_that_all_cost_the_same_does_not_show_that_every_other_one_does_or_can_be_read() -> None:
    found = total([16.0] * 6, [4.0] * 6, [4.0] * 24)
    assert found.value == pytest.approx(384, abs=8)
    assert found.holds(387)
    assert found.holds(384 - 2 * 16)
    assert found.high - found.low < 100


def test_what_was_kept_is_not_paid_again() -> None:
    need = Interval(100, 90, 110)
    fresh = left_to_pay(need, need, used=20, paid=20, kept=0)
    assert (fresh.value, fresh.low, fresh.high) == (80, 70, 90)
    assert left_to_pay(need, Interval.exactly(0), used=20, paid=0, kept=20) == fresh
    interrupted = left_to_pay(need, need, used=20, paid=20, kept=30)
    assert interrupted.holds(50)
    assert interrupted.holds(80)
    other_options = left_to_pay(need, Interval(10, 8, 12), used=20, paid=2, kept=100)
    assert other_options.holds(8)
    assert other_options.value == pytest.approx(8)


def test_probes_are_bounded_by_category_and_the_interval_holds_their_number() -> None:
    """Videos lean towards categories of their own, as a film about cooking is not asked about like a match."""
    held = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        leanings = random.dirichlet(np.array([4, 2, 1, 0.5, 0.2, 0, 0, 0]) + 1e-9, 80)
        counts = np.stack([random.multinomial(random.integers(1, 12), leaning) for leaning in leanings])
        places = spread(80, 10)
        here = counts[places]
        probed = np.minimum(here.sum(axis=0), math.ceil(24 * here.sum() / counts.sum()))
        drawn = drawn_probes(np.random.default_rng(0), Split(here, probed, int(counts.sum() - here.sum())), 24)
        truth = np.minimum(counts.sum(axis=0), 24).sum()
        low, high = np.percentile(drawn, (2.5, 97.5))
        held += low <= truth <= high + probed.sum()
        assert drawn.max() <= 8 * 24 + probed.sum()
    assert held >= 90


def test_probes_of_a_sample_of_all_are_known() -> None:
    counts = np.array([[30, 0], [10, 3]])
    drawn = drawn_probes(np.random.default_rng(0), Split(counts, np.array([24, 3]), 0), 24)
    assert set(drawn) == {27.0}
