"""Subtitle files (.srt, and the two JSON forms of LongVideoBench) as timed lines, and which of them a prompt shows where."""

import json
import math
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from videorouter.eval.benchmarks.items import Subtitles

SHORTEST: Final = 1.0
"""Seconds, around its middle, for which a shorter line counts as said."""
_TIMES = re.compile(r"(\d+):(\d{1,2}):(\d{1,2}(?:[.,]\d+)?)\s*-->\s*(\d+):(\d{1,2}):(\d{1,2}(?:[.,]\d+)?)")
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,200}>|\{\\[^{}]{0,200}\}")


@dataclass(frozen=True)
class Line:
    """Text shown from `start` up to `end` seconds of the video; `end` is infinite where the file does not say."""

    start: float
    end: float
    text: str


@dataclass
class SubtitleReader:
    """Reads subtitle files, each once; `damaged` holds those that could not be read, with the reason."""

    damaged: dict[Path, str] = field(default_factory=dict)
    _read: dict[Subtitles, list[Line]] = field(default_factory=dict)

    def lines(self, subtitles: Subtitles) -> list[Line]:
        """All lines in order of time; none where the file is missing or damaged."""
        if subtitles not in self._read:
            try:
                self._read[subtitles] = read_lines(subtitles)
            except (OSError, ValueError) as error:
                reason = str(error) if str(subtitles.path) in str(error) else f"{subtitles.path}: {error}"
                self.damaged[subtitles.path] = reason
                self._read[subtitles] = []
        return self._read[subtitles]


def read_lines(subtitles: Subtitles) -> list[Line]:
    """The lines of a file, in seconds of the video. Raises `OSError` or `ValueError` for one that is missing or damaged."""
    text = subtitles.path.read_text(encoding="utf-8-sig")
    lines = _from_json(text) if subtitles.path.suffix == ".json" else _from_srt(text)
    if not lines and text.strip() not in ("", "[]"):
        raise ValueError(f"{subtitles.path} holds no subtitle that can be read")
    shifted = [Line(line.start - subtitles.starts, line.end - subtitles.starts, line.text) for line in lines]
    return sorted(shifted, key=lambda line: line.start)


def shown_at(lines: Sequence[Line], seconds: Sequence[float]) -> list[str]:
    """The texts that are on screen at any of `seconds`, in order; one that only repeats the last is left out."""
    texts: list[str] = []
    for line in lines:
        if any(line.start <= moment < line.end for moment in seconds) and texts[-1:] != [line.text]:
            texts.append(line.text)
    return texts


def said_between(
    lines: Sequence[Line], seconds: Sequence[float], shown: Sequence[float], duration: float
) -> list[list[str]]:
    """The texts that stand before each of T frames and after the last: T + 1 lists.

    A line is said where one of the sampled, increasing `seconds` lies strictly within its time. It stands behind every frame
    whose second in the increasing `shown` `[T]` (of merged frames where a model merges them) is not beyond the line's middle.
    A line of which the end is not known lasts for the video's `duration`, in seconds.

    Source: `insert_subtitles_into_frames` of `longvideobench/longvideobench_dataset.py` in github.com/longvideobench/LongVideoBench
    (2aa4f91), read and written anew. Ours: lines go in the order of their middles, where the loader keeps the file's (that differs
    only where one line's time contains another's), and an end that is missing is the next line's start, where the loader takes the
    video's duration and shifts it by where the clip starts.
    """
    said: list[list[str]] = [[] for _ in range(len(shown) + 1)]
    ended = [line if math.isfinite(line.end) else replace(line, end=max(line.start, duration)) for line in lines]
    for line in sorted(ended, key=_middle):
        middle, reach = _middle(line), max(line.end - line.start, SHORTEST) / 2
        following = bisect_right(seconds, middle - reach)
        if following < len(seconds) and seconds[following] < middle + reach:
            said[bisect_right(shown, middle)].append(line.text)
    return said


def _from_srt(text: str) -> list[Line]:
    lines: list[Line] = []
    for block in re.split(r"\n[^\S\n]*\n", text.replace("\r\n", "\n").replace("\r", "\n")):
        rows = block.strip().split("\n")
        found = next(((place, times) for place, row in enumerate(rows[:2]) if (times := _TIMES.search(row))), None)
        if found is None:
            continue
        place, times = found
        start, end = (
            int(hours) * 3600 + int(minutes) * 60 + float(seconds.replace(",", "."))
            for hours, minutes, seconds in (times.group(1, 2, 3), times.group(4, 5, 6))
        )
        lines += _line(start, end, " ".join(rows[place + 1 :]))
    return lines


def _from_json(text: str) -> list[Line]:
    """`[{"timestamp": [s, s], "text"}]`, or `[{"start": "00:00:01.000", "end", "line"}]`; an end may be null."""
    rows = json.loads(text)
    if not isinstance(rows, list):
        raise ValueError("a list of subtitles was expected")
    lines: list[Line] = []
    for row in rows:
        try:
            start, end = row["timestamp"] if "timestamp" in row else (row["start"], row["end"])
            lines += _line(
                _seconds(start), math.inf if end is None else _seconds(end), row.get("text", row.get("line"))
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            continue  # one damaged line among others
    following = [line.start for line in lines[1:]] + [math.inf]
    return [
        Line(line.start, after, line.text) if line.end == math.inf and after > line.start else line
        for line, after in zip(lines, following, strict=True)
    ]


def _seconds(moment: Any) -> float:
    parts = [float(part) for part in str(moment).replace(",", ".").split(":")]
    seconds = sum(part * 60**place for place, part in enumerate(reversed(parts)))
    if not math.isfinite(seconds):
        raise ValueError(f"{moment!r} is not a time")
    return seconds


def _line(start: float, end: float, text: str) -> list[Line]:
    text = " ".join(_TAG.sub("", text).split())
    text = text.encode("utf-8", "replace").decode("utf-8")  # JSON can spell half a character, which stops tokenizers
    return [Line(start, end, text)] if text and end > start else []


def _middle(line: Line) -> float:
    return (line.start + line.end) / 2
