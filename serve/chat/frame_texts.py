"""The texts between the frames of a video that clients send as pictures: when each frame is shown, and what else is said (ours)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from videorouter.serve.chat.content import Part, Picture, Text

_NUMBER: Final = r"[0-9]{1,9}(?:\.[0-9]{1,9})?"
_LABEL: Final = re.compile(
    rf"""
    [\[(<]?\s?
    (?: (?:video\s)?frame
        (?: \s?[-#:_]?\s?(?P<frame>[0-9]{{1,7}}) (?![0-9]|[.][0-9]) (?:\s?(?:/|of)\s?[0-9]{{1,7}})? )?
        \s?(?:[,;|-]|:(?![0-9]))?\s?
    )?
    [\[(<]?\s?
    (?: (?P<word>at|time|timestamp|timecode|time\sstamp|second|seconds|sec|t)\b \s?[:=]?\s? | @\s? )?
    (?: (?: (?P<hours>[0-9]{{1,4}}): )? (?P<minutes>[0-9]{{1,4}}):(?P<clock>[0-9]{{1,2}}(?:[.,][0-9]{{1,9}})?)
      | (?P<value>{_NUMBER}) \s? (?P<unit>ms|milliseconds?|s|secs?|seconds?)?
    )?
    \s?[\])>]{{0,2}}\s?[:.,|-]?\s?[\])>]?
    """,
    re.VERBOSE | re.IGNORECASE,
)
_PLACEHOLDER_LINE: Final = re.compile(r"(?:Frame|Image)[- ]?[0-9]{1,7}:\s?<(?:IMAGE_TOKEN|image)>\s?")
_LONGEST: Final = 64
"""Characters of a label."""


class Label(NamedTuple):
    """What is written of one frame: when it is shown (None where only its number stands there)."""

    second: float | None


@dataclass(frozen=True)
class FrameTexts:
    """What stands around T pictures. `seconds` says when each is shown, where every one is labelled and none goes back in time.

    `left` is what is left of each part that is text, by its number among the parts: all of it, or what a label leaves.
    `between` are T + 1 texts, before each picture and after the last.
    """

    seconds: tuple[float, ...] | None
    left: dict[int, str]
    between: tuple[str, ...]


def read_label(text: str) -> Label | None:
    """The label that `text` is and nothing else.

    Known are `<3.0 seconds>`, `[12.5s]`, `0:12`, `00:01:05.5`, `Frame at 3s:`, `Time: 3.2s`, `t=3200ms`, `Frame-1: `, `Frame1: `,
    `Frame 7 (3.5s):` and what lies between them. A bare number is none, nor is `Image 1:`, by which questions may name a picture.
    """
    stripped = " ".join(text[: 2 * _LONGEST].split()) if len(text) <= 2 * _LONGEST else ""
    found = _LABEL.fullmatch(stripped) if 0 < len(stripped) <= _LONGEST else None
    if found is None:
        return None
    if found["clock"] is not None:
        part = float(found["clock"].replace(",", "."))
        if part >= 60 or (found["hours"] is not None and int(found["minutes"]) >= 60):
            return None
        return Label(3600 * int(found["hours"] or 0) + 60 * int(found["minutes"]) + part)
    if found["value"] is not None and (found["unit"] or found["word"]):
        unit = (found["unit"] or "s").lower()
        return Label(float(found["value"]) / (1000 if unit.startswith("m") else 1))
    return Label(None) if found["frame"] is not None and found["value"] is None and found["word"] is None else None


def read_frame_texts(parts: Sequence[Part]) -> FrameTexts:
    """Read what stands between the pictures of one message.

    Labels are taken out where every picture has one before it, else where every picture has one behind it, and all are times
    that do not go back, or all are numbers; other labels stay texts like any other. Lines that stand for the pictures in a text
    behind them (VLMEvalKit's `Frame-1: <IMAGE_TOKEN>`) are taken out where there are as many as pictures.
    """
    gaps = _gaps(parts)
    left = {number: part.text for number, part in enumerate(parts) if isinstance(part, Text)}
    for labels in (_labels_before(gaps[:-1], left), _labels_behind(gaps[1:], left)):
        if labels is None:
            continue
        seconds = [label.second for label, _, _ in labels]
        times = [second for second in seconds if second is not None]
        if times and (len(times) < len(seconds) or times != sorted(times)):
            continue
        left |= {number: rest for _, number, rest in labels}
        return FrameTexts(tuple(times) or None, left, _between(gaps, left))
    for number in gaps[-1][:1]:
        left[number] = _without_placeholders(left[number], len(gaps) - 1)
    return FrameTexts(None, left, _between(gaps, left))


def _gaps(parts: Sequence[Part]) -> list[list[int]]:
    """The texts before each picture and after the last, as their numbers among the parts."""
    gaps: list[list[int]] = [[]]
    for number, part in enumerate(parts):
        if isinstance(part, Picture):
            gaps.append([])
        elif isinstance(part, Text) and part.text.strip():
            gaps[-1].append(number)
    return gaps


def _labels_before(gaps: Sequence[Sequence[int]], left: dict[int, str]) -> list[tuple[Label, int, str]] | None:
    """One label a gap, which is the last line of its last text; with that text's number and rest."""
    found = []
    for gap in gaps:
        if not gap:
            return None
        rest, _, line = left[gap[-1]].rstrip().rpartition("\n")
        if (label := read_label(line)) is None:
            return None
        found.append((label, gap[-1], rest))
    return found


def _labels_behind(gaps: Sequence[Sequence[int]], left: dict[int, str]) -> list[tuple[Label, int, str]] | None:
    """One label a gap, which is the first line of its first text."""
    found = []
    for gap in gaps:
        if not gap:
            return None
        line, _, rest = left[gap[0]].lstrip().partition("\n")
        if (label := read_label(line)) is None:
            return None
        found.append((label, gap[0], rest))
    return found


def _between(gaps: Sequence[Sequence[int]], left: dict[int, str]) -> tuple[str, ...]:
    return tuple("\n".join(left[number] for number in gap if left[number].strip()) for gap in gaps)


def _without_placeholders(text: str, pictures: int) -> str:
    lines = text.lstrip().split("\n", pictures)
    count = sum(1 for line in lines[:pictures] if len(line) <= _LONGEST and _PLACEHOLDER_LINE.fullmatch(line))
    return (lines[pictures] if len(lines) > pictures else "") if count == pictures else text
