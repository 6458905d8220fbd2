"""What probing of all questions would need, drawn from what a sample of videos shows, with 95 % intervals.

Categories are asked of all questions, each text once: their number is known. Probes are `per_category` of each category at most,
and how many questions a category has is not known before. So the categories of all others are drawn some thousand times from
those of the sample, a Bayesian bootstrap over its videos with little weight for categories that it did not meet (ours), and the
interval is that of the needs that follow.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from videorouter.data_builders.building.estimate import COUNTED, Row, usage_of
from videorouter.data_builders.building.extrapolation import DRAWS, Draws, Interval, drawn_total, left_to_pay
from videorouter.data_builders.building.metering import Need, together
from videorouter.data_builders.teacher.config import Price, Usage


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
    done = sum(video.probes for video in sample)
    whole = together(need for video in sample for need in (video.categories, video.probing))

    def needed(part: str, measure: Callable[[Usage], float]) -> Interval:
        """What all videos need, by what is `used` or `paid` of the sample's needs."""
        of_part = attrgetter(part)
        seen = measure(of_part(whole))
        if known:
            return Interval.exactly(seen)
        unit = seen / max(1, whole.used.requests)
        told = [video for video in sample if video.texts]
        categories, asked = [measure(of_part(video.categories)) for video in told], [video.texts for video in told]
        rest, others = np.full(DRAWS, float(texts - sum(asked))), np.full(DRAWS, videos - len(sample))
        drawn = drawn_total(random, categories, asked, others, rest, unit, some_need_nothing=False)
        tried = [video for video in sample if video.probes]
        rest = np.maximum(0.0, probes - done)
        others = np.rint(rest / max(1, done) * len(tried)).astype(np.int64)
        probing = [measure(of_part(video.probing)) for video in tried]
        drawn += drawn_total(random, probing, [video.probes for video in tried], others, rest, unit)
        return Interval.of_draws(drawn, seen, len(sample) if tried or not probes.any() else 0)

    def row(name: str, measure: Callable[[Usage], float], form: str) -> Row:
        used, paid = measure(whole.used), measure(whole.paid)
        need = needed("used", measure)
        return Row(name, used, need, left_to_pay(need, needed("paid", measure), used, paid, measure(before)), form)

    rows = [row(name, partial(usage_of, count=count), ",.0f") for name, count in COUNTED.items()]
    if price is not None:
        rows.append(row("dollars", price.usd, ",.2f"))
    rows.append(Row("categories asked", sum(video.texts for video in sample), Interval.exactly(texts)))
    of_probes = Interval.exactly(done) if known else Interval.of_draws(probes, done, len(sample))
    rows.append(Row("questions probed", done, of_probes))
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
