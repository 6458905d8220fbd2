"""What probing of all questions would need, drawn from what a sample of videos shows, with 95 % intervals.

Categories are asked of all questions, each text once: their number is known. Probes are `per_category` of each category at most,
and how many questions a category has is not known before. So the categories of all others are drawn some thousand times from
those of the sample, a Bayesian bootstrap over its videos with little weight for categories that it did not meet (ours), and the
interval is that of the needs that follow.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from videorouter.data_builders.building.estimate import COUNTED, Row, usage_of
from videorouter.data_builders.building.extrapolation import Interval, left_to_pay, ratio_and_scatter
from videorouter.data_builders.building.metering import Need, together
from videorouter.data_builders.teacher.config import Price, Usage

DRAWS: Final = 4000
Draws = NDArray[np.float64]


@dataclass(frozen=True)
class SampledVideo:
    """What one video needed: `texts` of it were asked for their category first, and `probes` of its questions were probed."""

    texts: int
    categories: Need
    probes: int
    probing: Need


@dataclass(frozen=True)
class Split:
    """Questions of one split that may be probed.

    `counts` of the sample by video and category `[V, C]`, of which `probed` `[C]`; `others` are not in the sample.
    """

    counts: NDArray[np.int64]
    probed: NDArray[np.int64]
    others: int


def probing_rows(
    sample: Sequence[SampledVideo],
    splits: Sequence[Split],
    videos: int,
    texts: int,
    per_category: int,
    before: Usage,
    price: Price | None,
) -> list[Row]:
    """Rows of an estimate for all `videos`, whose questions have so many different `texts`; `before` was paid earlier."""
    random = np.random.default_rng(0)
    probes = sum((drawn_probes(random, split, per_category) for split in splits), np.zeros(DRAWS))
    known = len(sample) == videos
    whole = together(need for video in sample for need in (video.categories, video.probing))

    def row(name: str, measure: Callable[[Usage], float], form: str) -> Row:
        used, paid = measure(whole.used), measure(whole.paid)
        needs = []
        for part, seen in (("used", used), ("paid", paid)):
            unit = seen / max(1, whole.used.requests)
            asked = [
                (
                    [measure(attrgetter(part)(video.categories)) for video in sample],
                    [video.texts for video in sample],
                    np.full(DRAWS, float(texts)),
                ),
                (
                    [measure(attrgetter(part)(video.probing)) for video in sample if video.probes],
                    [video.probes for video in sample if video.probes],
                    probes,
                ),
            ]
            drawn = sum((_drawn_total(random, *one, unit) for one in asked), np.zeros(DRAWS))
            needs.append(Interval.exactly(seen) if known else _interval(drawn, seen, len(sample)))
        need, of_paid = needs
        return Row(name, used, need, left_to_pay(need, of_paid, used, paid, measure(before)), form)

    rows = [row(name, partial(usage_of, count=count), ",.0f") for name, count in COUNTED.items()]
    if price is not None:
        rows.append(row("dollars", price.usd, ",.2f"))
    done = sum(video.probes for video in sample)
    rows.append(Row("categories asked", sum(video.texts for video in sample), Interval.exactly(texts)))
    rows.append(
        Row("questions probed", done, Interval.exactly(done) if known else _interval(probes, done, len(sample)))
    )
    return rows


def drawn_probes(random: np.random.Generator, split: Split, per_category: int) -> Draws:
    """Questions probed in the end, drawn: those of a build, and those of the sample that a build would not have chosen."""
    videos, kinds = split.counts.shape
    here = split.counts.sum(axis=0)
    if split.others == 0:
        return np.full(DRAWS, float(np.maximum(split.probed, np.minimum(here, per_category)).sum()))
    weights = random.dirichlet(np.ones(videos), DRAWS) * videos
    mass = random.gamma(weights @ split.counts + 1 / kinds) + 1e-300
    totals = here + random.multinomial(split.others, mass / mass.sum(axis=1, keepdims=True))
    chosen = np.minimum(totals, per_category)
    both = np.where(totals == chosen, split.probed, random.hypergeometric(split.probed, totals - split.probed, chosen))
    return (chosen + split.probed - both).sum(axis=1).astype(float)


def _drawn_total(
    random: np.random.Generator, values: Sequence[float], weights: Sequence[int], all_weight: Draws, unit: float
) -> Draws:
    """The sum over all of what is `values` on videos with these weights, for every draw of the weight of all."""
    count, weight = len(values), sum(weights)
    if not weight:
        return np.zeros(DRAWS)
    ratio, scatter = ratio_and_scatter(values, weights, unit)
    rest = np.maximum(0.0, all_weight - weight)
    scale = scatter * np.sqrt(rest / weight * (1 + rest / weight) * count)
    return sum(values) + ratio * rest + random.standard_t(max(1, count - 1), DRAWS) * scale


def _interval(drawn: Draws, seen: float, videos: int) -> Interval:
    """The middle 95 %; one video tells nothing of others."""
    low, value, high = (float(one) for one in np.percentile(drawn, (2.5, 50, 97.5)))
    return Interval(max(seen, value), max(seen, low), math.inf if videos < 2 else max(seen, high))
