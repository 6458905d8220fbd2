"""Evidence spans as annotations give them, checked: overlong ones are clamped to the video, reversed ones are dropped."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from videorouter.data_builders.sources.rows import Malformed

Spans = list[tuple[float, float]]


@dataclass(frozen=True)
class Mended:
    """A span of a question that was kept, changed (`clamped`) or left out of it (`dropped`); `item` is the question's id."""

    item: str
    how: Literal["clamped", "dropped"]
    reason: str


def checked_spans(item: str, spans: Sequence[Any], duration: float | None = None) -> tuple[Spans, list[Mended]]:
    """The spans `[start, end)` in seconds that are some, within `[0, duration]` where the length is known; and what was mended.

    Raises `Malformed` with the verdict `bad_span` where none is left.
    """
    kept: Spans = []
    mended: list[Mended] = []
    problems = []
    for span in spans:
        numbers = _numbers(span)
        if numbers is None:
            problems.append(f"the span {span!r} is not two numbers")
            continue
        start, end = max(numbers[0], 0.0), numbers[1] if duration is None else min(numbers[1], duration)
        if not numbers[0] < numbers[1]:
            problems.append(f"the span {numbers[0]}-{numbers[1]} s is empty or reversed")
        elif not start < end:
            problems.append(f"the span {numbers[0]}-{numbers[1]} s lies outside the video of {duration} s")
        else:
            kept.append((start, end))
            if (start, end) != numbers:
                reason = f"the span {numbers[0]}-{numbers[1]} s became {start}-{end} s"
                mended.append(Mended(item, "clamped", reason))
    if not kept:
        raise Malformed("; ".join(problems) or "it has no spans", "bad_span")
    return kept, mended + [Mended(item, "dropped", problem) for problem in problems]


def _numbers(span: Any) -> tuple[float, float] | None:
    if not isinstance(span, (list, tuple)) or len(span) != 2 or any(isinstance(value, bool) for value in span):
        return None
    try:
        start, end = float(span[0]), float(span[1])
    except (TypeError, ValueError, OverflowError):
        return None
    return (start, end) if math.isfinite(start) and math.isfinite(end) else None
