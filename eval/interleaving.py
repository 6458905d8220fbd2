"""Subtitles between the frames, where they are said: the rule of LongVideoBench's own loader.

Source: `insert_subtitles_into_frames` of `longvideobench/longvideobench_dataset.py` in github.com/longvideobench/LongVideoBench
(2aa4f91), read and written anew. Ours: lines go in the order of their middles, where the loader keeps the file's (that differs
only where one line's time holds another's), and an end that is missing is the next line's start, where the loader takes the
video's duration and shifts it by where the clip starts.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from videorouter.eval.subtitles import Line

SHORTEST: Final = 1.0
"""Seconds, around its middle, for which a shorter line counts as said."""


def said_between(
    lines: Sequence[Line], seconds: Sequence[float], shown: Sequence[float], duration: float
) -> list[list[str]]:
    """The texts that stand before each of T frames and after the last: T + 1 lists.

    A line is said where one of the sampled, increasing `seconds` lies strictly within its time. It stands behind every frame
    whose second in the increasing `shown` `[T]` (of merged frames where a model merges them) is not beyond the line's middle.
    A line of which the end is not known lasts for the video's `duration`, in seconds.
    """
    said: list[list[str]] = [[] for _ in range(len(shown) + 1)]
    ended = [line if math.isfinite(line.end) else replace(line, end=max(line.start, duration)) for line in lines]
    for line in sorted(ended, key=_middle):
        middle, reach = _middle(line), max(line.end - line.start, SHORTEST) / 2
        following = bisect_right(seconds, middle - reach)
        if following < len(seconds) and seconds[following] < middle + reach:
            said[bisect_right(shown, middle)].append(line.text)
    return said


def _middle(line: Line) -> float:
    return (line.start + line.end) / 2
