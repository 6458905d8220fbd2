"""Where relevance begins and ends, looked at a second time with the frames around it (ours)."""

from collections.abc import Sequence
from itertools import pairwise


def boundary_ranges(relevant: Sequence[bool], reach: int, window: int) -> list[range]:
    """The frames to look at again: `reach` on each side of every change of `relevant`, in order.

    Changes near each other share a range as long as it holds at most `window` frames (or one change's 2 x `reach`); ranges
    that could not be joined may overlap.
    """
    ranges: list[range] = []
    for after, (was, becomes) in enumerate(pairwise(relevant), start=1):
        if was == becomes or reach < 1:
            continue
        around = range(max(0, after - reach), min(len(relevant), after + reach))
        if ranges and around.start <= ranges[-1].stop and around.stop - ranges[-1].start <= window:
            ranges[-1] = range(ranges[-1].start, around.stop)
        else:
            ranges.append(around)
    return ranges
