"""How the questions of a run are cut into batches and distributed over the processes of torchrun (ours).

Batches depend on the questions alone, never on the number of processes or on what is answered already.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from typing import Any, Final

import torch

from videorouter.eval.benchmarks.items import Item


def packs(items: Sequence[Item], at_once: int) -> Iterator[list[Item]]:
    """Groups of whole videos, in order, with at most `at_once` questions; a video that has more is a group of its own."""
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
    """The questions of a pack, `at_once` at a time."""
    for start in range(0, len(pack), at_once):
        yield list(pack[start : start + at_once])


LONGEST_WAIT: Final = timedelta(days=7)
"""For the slowest rank's videos. Where one dies, torchrun notices and ends the others."""


@dataclass(frozen=True)
class Ranks:
    """This process, number `rank` of `count`; alone without torchrun."""

    rank: int = 0
    count: int = 1

    @classmethod
    def joined(cls) -> "Ranks":
        """Join the others that torchrun started, over gloo: answers are few bytes."""
        count = int(os.environ.get("WORLD_SIZE", 1))
        if count == 1:
            return cls()
        if not torch.distributed.is_initialized():
            torch.distributed.init_process_group("gloo", timeout=LONGEST_WAIT)
        return cls(torch.distributed.get_rank(), count)

    @property
    def first(self) -> bool:
        return self.rank == 0

    @staticmethod
    def own_device(device: str) -> str:
        """Of "cuda" the GPU that torchrun's local rank counts; any other device as it is."""
        local = os.environ.get("LOCAL_RANK")
        return f"cuda:{local}" if device == "cuda" and local is not None else device

    def owns(self, place: int) -> bool:
        """Whether this rank takes the pack number `place`."""
        return place % self.count == self.rank

    def gathered(self, own: list[Any]) -> list[Any]:
        """The lists of all ranks, one after another; all ranks must call it equally often."""
        if self.count == 1:
            return own
        everyones: list[Any] = [None] * self.count
        torch.distributed.all_gather_object(everyones, own)
        return [one for those in everyones for one in those]

    def wait(self) -> None:
        """Wait until all ranks have called it."""
        self.gathered([])

    def leave(self) -> None:
        """Leave the process group."""
        if self.count > 1:
            torch.distributed.destroy_process_group()
