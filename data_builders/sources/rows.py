"""One row of an annotation file: its fields and evidence spans, checked; and what a row is converted to."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from videorouter.data_builders.rejects import Reject
from videorouter.shards.schema import VideoQuestion

Spans = list[tuple[float, float]]
LONGEST_RAW = 2000
"""Characters of a row that a reject keeps."""


class Malformed(ValueError):
    """A row (or a whole file) that is not what its format says; `verdict` goes to its `Reject`."""

    def __init__(self, problem: str, verdict: str = "malformed") -> None:
        super().__init__(problem)
        self.verdict = verdict


@dataclass(frozen=True)
class Row:
    """One row: its content, its place (`FILE:LINE`, counted from 1, or `FILE:NAME`) and its number in the file."""

    where: str
    number: int
    content: Any
    raw: str

    def field(self, name: str) -> Any:
        """Raises `Malformed` where it is missing or null, or where the row is no object."""
        if not isinstance(self.content, Mapping):
            raise Malformed(f"an object is expected, it is {json_kind(self.content)}")
        if self.content.get(name) is None:
            raise Malformed(f"`{name}` is missing")
        return self.content[name]

    def text(self, name: str) -> str:
        """A field as text without blanks around it; whole numbers count as text. Raises `Malformed`, also for empty text."""
        found = self.field(name)
        if isinstance(found, int) and not isinstance(found, bool):
            return str(found)
        if not isinstance(found, str):
            raise Malformed(f"`{name}` is {json_kind(found)}, not text")
        if not found.strip():
            raise Malformed(f"`{name}` is empty")
        return found.strip()

    def items(self, name: str) -> list[Any]:
        """A field that is a list. Raises `Malformed`."""
        found = self.field(name)
        if not isinstance(found, list):
            raise Malformed(f"`{name}` is {json_kind(found)}, not a list")
        return found

    def seconds(self, name: str) -> float:
        """A field as a length in seconds. Raises `Malformed` unless it is finite and above 0."""
        return self.positive(name, "a length in seconds")

    def positive(self, name: str, what: str) -> float:
        """A field as a number. Raises `Malformed`, which says `what` it should be, unless it is finite and above 0."""
        found = self.field(name)
        try:
            number = math.nan if isinstance(found, bool) else float(found)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not 0 < number < math.inf:
            raise Malformed(f"`{name}` is {found!r}, not {what}")
        return number


@dataclass(frozen=True)
class Fix:
    """What was changed about a question, by its id in `item`: a span cut to the video (`clamped`) or left out (`dropped`), an
    option that stood twice (`merged`)."""

    item: str
    how: Literal["clamped", "dropped", "merged"]
    reason: str


Converted = VideoQuestion | Reject | Fix
"""What a row is converted to: several of these in some formats."""


def checked_spans(
    item: str, spans: Sequence[Any], duration: float | None = None, rounding: float = 0.0
) -> tuple[Spans, list[Fix]]:
    """The spans `[start, end)` in seconds that are some, within `[0, duration]` where the length is known; and the changes made.

    What begins up to `rounding` seconds before the video begins with it. Raises `Malformed` with the verdict `bad_span` for what
    begins earlier or is not two numbers: such a clock is not the video's; and where no span is left.
    """
    kept: Spans = []
    fixes: list[Fix] = []
    problems = []
    for span in spans:
        numbers = _numbers(span)
        if numbers is None:
            raise Malformed(f"the span {span!r} is not two numbers", "bad_span")
        if numbers[0] < -rounding:
            raise Malformed(f"the span {numbers[0]}-{numbers[1]} s begins before the video", "bad_span")
        start, end = max(numbers[0], 0.0), numbers[1] if duration is None else min(numbers[1], duration)
        if not numbers[0] < numbers[1]:
            problems.append(f"the span {numbers[0]}-{numbers[1]} s is empty or reversed")
        elif not start < end:
            problems.append(f"the span {numbers[0]}-{numbers[1]} s lies outside the video of {duration} s")
        else:
            kept.append((start, end))
            if (start, end) != numbers:
                reason = f"the span {numbers[0]}-{numbers[1]} s became {start}-{end} s"
                fixes.append(Fix(item, "clamped", reason))
    if not kept:
        raise Malformed("; ".join(problems) or "it has no spans", "bad_span")
    return kept, fixes + [Fix(item, "dropped", problem) for problem in problems]


def json_kind(value: Any) -> str:
    """What kind of JSON value it is, in words."""
    kinds = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def _numbers(span: Any) -> tuple[float, float] | None:
    if not isinstance(span, (list, tuple)) or len(span) != 2 or any(isinstance(value, bool) for value in span):
        return None
    try:
        start, end = float(span[0]), float(span[1])
    except (TypeError, ValueError, OverflowError):
        return None
    return (start, end) if math.isfinite(start) and math.isfinite(end) else None
