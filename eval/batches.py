"""Which questions are answered together: a matter of the questions alone, never of ranks or of what is known already (ours)."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from videorouter.eval.items import Item


def packs(items: Sequence[Item], at_once: int) -> Iterator[list[Item]]:
    """Whole videos, in order, together as long as their questions are at most `at_once`; a video with more is a pack alone."""
    pack: list[Item] = []
    for _, group in groupby(items, key=lambda item: item.video):
        questions = list(group)
        if pack and len(pack) + len(questions) > at_once:
            yield pack
            pack = []
        pack += questions
    if pack:
        yield pack


def batches(pack: Sequence[Item], at_once: int) -> Iterator[list[Item]]:
    """The pack's questions, `at_once` at a time."""
    for start in range(0, len(pack), at_once):
        yield list(pack[start : start + at_once])
