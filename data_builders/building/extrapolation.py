"""From a sample of videos to all of them, with 95 % intervals (after the ratio estimate: Cochran, Sampling Techniques, ch. 6).

What a video costs grows with its questions, and how many each one has is known: costs are extrapolated by question, not by
video, and only what videos differ in beside that makes the interval wide. Its scatter is Student's t, as samples are small, and
a sample of all videos leaves nothing open. What a small sample may not have met is thought of (ours): that some of the others
need nothing, as they cannot be read, and that videos which all cost the same may differ by one unit, such as a repeated request.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

DRAWS: Final = 4000
NEED_NOTHING: Final = (0.2, 5.0)
"""Videos that need nothing, and others, which are taken to have been seen before the sample."""
Draws = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A value and its 95 % interval; `high` is infinite where a sample of one tells nothing of others."""

    value: float
    low: float
    high: float

    @classmethod
    def exactly(cls, value: float) -> "Interval":
        """Where nothing is open."""
        return cls(value, value, value)

    @classmethod
    def of_draws(cls, drawn: Draws, least: float, sample: int) -> "Interval":
        """The middle 95 % of what was drawn from so many videos, which is known to be no less than `least`."""
        low, value, high = (max(least, float(one)) for one in np.percentile(drawn, (2.5, 50, 97.5)))
        return cls(value, low, math.inf if sample < 2 else high)

    def __add__(self, more: float) -> "Interval":
        return Interval(self.value + more, self.low + more, self.high + more)

    def holds(self, value: float) -> bool:
        """Whether a value lies in it, but for rounding."""
        slack = 1e-9 * max(1.0, abs(value))
        return self.low - slack <= value <= self.high + slack

    def told(self, form: str = ",.0f", scale: float = 1.0) -> str:
        """`VALUE (LOW-HIGH)`, or the value alone where it is exact; each times `scale`."""
        value, low, high = (f"{one * scale:{form}}" for one in (self.value, self.low, self.high))
        if low == high:
            return value
        return f"{value} ({low}-{'?' if math.isinf(self.high) else high})"


def spread(of: int, count: int) -> list[int]:
    """`count` of the places 0 ... `of` - 1, evenly."""
    count = min(count, of)
    return [position * of // count for position in range(count)]


def total(values: Sequence[float], weights: Sequence[float], all_weights: Sequence[float], unit: float = 1) -> Interval:
    """The sum over all videos of what is `values` on a sample of them; weights (questions) are of the sample and of all."""
    seen, others = sum(values), len(all_weights) - len(values)
    if others == 0:
        return Interval.exactly(seen)
    rest = sum(all_weights) - sum(weights)
    drawn = drawn_total(np.random.default_rng(0), values, weights, np.full(DRAWS, others), np.full(DRAWS, rest), unit)
    return Interval.of_draws(drawn, seen, len(values))


def drawn_total(
    random: np.random.Generator,
    values: Sequence[float],
    weights: Sequence[float],
    others: NDArray[np.int64],
    rest: Draws,
    unit: float = 1,
    some_need_nothing: bool = True,
) -> Draws:
    """`DRAWS` sums over a sample and so many `others` of together the weight `rest`, each of them if none needs nothing."""
    some = [(value, weight) for value, weight in zip(values, weights, strict=True) if value > 0]
    if not some:
        return np.zeros(DRAWS)
    ratio = sum(value for value, _ in some) / sum(weight for _, weight in some)
    squares = sum((value - ratio * weight) ** 2 for value, weight in some)
    scatter, freedom = math.sqrt(max(squares, unit**2) / max(1, len(some) - 1)), max(1, len(some) - 1)
    nothing, something = NEED_NOTHING
    share = random.beta(nothing + len(values) - len(some), something + len(some), DRAWS)
    busy = others - random.binomial(others, share if some_need_nothing else 0.0)
    # What is open is the sum over the others: their own scatter, and that of the ratio.
    scale = scatter * np.sqrt(busy * (1 + busy / len(some)))
    return sum(values) + ratio * rest * busy / np.maximum(1, others) + random.standard_t(freedom, DRAWS) * scale


def left_to_pay(need: Interval, of_paid: Interval, used: float, paid: float, kept: float) -> Interval:
    """What is still to be paid of a `need`, after a sample used `used` of it, of which it paid `paid` and the rest was kept.

    `kept` answers lie in the journals from before. Those that the sample did not use may be other videos', as far as the sample
    found its own kept, too; or of no use, after a change of prompts. `of_paid` is what all would pay if it were as the sample.
    """
    rest = need + -used
    beyond = max(0.0, kept - (used - paid))
    good = min(beyond, rest.value * (used - paid) / used) if used else 0.0
    low = max(0.0, rest.low - beyond)
    value = max(low, rest.value - good)
    return Interval(value, low, max(value, rest.high - good, of_paid.high - paid))
