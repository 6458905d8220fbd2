"""From a sample of videos to all of them, with 95 % intervals (Cochran, Sampling Techniques, ch. 6: the ratio estimate).

What a video costs grows with its questions, and how many each one has is known: costs are extrapolated by question, not by
video, and only what videos differ in beside that makes the interval wide. It is Student's t, as samples are small, with the
finite population correction, as a sample of all videos leaves nothing open. A sample whose videos all cost the same does not
show that all others do: one of them is taken to have differed by one unit, such as a request that was repeated (ours).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

T_95 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
"""Two-sided 95 % points of Student's t by degrees of freedom, from 1."""


@dataclass(frozen=True)
class Interval:
    """A value and its 95 % interval; `high` is infinite where a sample of one tells nothing of others."""

    value: float
    low: float
    high: float

    @classmethod
    def exactly(cls, value: float) -> "Interval":
        return cls(value, value, value)

    def __add__(self, more: float) -> "Interval":
        return Interval(self.value + more, self.low + more, self.high + more)

    def holds(self, value: float) -> bool:
        """Whether a value lies in it, but for rounding."""
        slack = 1e-9 * max(1.0, abs(value))
        return self.low - slack <= value <= self.high + slack

    def told(self, form: str = ",.0f") -> str:
        """`VALUE (LOW-HIGH)`, or the value alone where it is exact."""
        if self.low == self.high:
            return f"{self.value:{form}}"
        return f"{self.value:{form}} ({self.low:{form}}-{'?' if math.isinf(self.high) else format(self.high, form)})"


def spread(of: int, count: int) -> list[int]:
    """`count` of the places 0 ... `of` - 1, evenly."""
    count = min(count, of)
    return [position * of // count for position in range(count)]


def total(values: Sequence[float], weights: Sequence[float], all_weights: Sequence[float], unit: float = 1) -> Interval:
    """The sum over all videos of what is `values` on a sample of them; weights (questions) are of the sample and of all."""
    seen, count = sum(values), len(values)
    others, rest = len(all_weights) - count, sum(all_weights) - sum(weights)
    if others == 0:
        return Interval.exactly(seen)
    ratio, scatter = ratio_and_scatter(values, weights, unit)
    value = seen + ratio * rest
    if count < 2:
        return Interval(value, seen, math.inf)
    # What is open is the sum over the others: their own scatter, and that of the ratio.
    half = t_95(count - 1) * scatter * math.sqrt(others * len(all_weights) / count)
    return Interval(value, max(seen, value - half), value + half)


def ratio_and_scatter(values: Sequence[float], weights: Sequence[float], unit: float = 1) -> tuple[float, float]:
    """Value a weight, and the standard deviation of a video's value around it, at least that of one `unit` in one video."""
    ratio = sum(values) / sum(weights) if sum(weights) else 0.0
    squares = sum((value - ratio * weight) ** 2 for value, weight in zip(values, weights, strict=True))
    return ratio, math.sqrt(max(squares, unit**2) / max(1, len(values) - 1))


def t_95(freedom: int) -> float:
    """The two-sided 95 % point of Student's t."""
    return T_95[freedom - 1] if freedom <= len(T_95) else 1.96 + 2.4 / freedom


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
