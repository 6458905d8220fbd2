"""Work shared by the processes of torchrun: every rank answers its videos, and all know all answers (ours)."""

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import torch

LONGEST_WAIT: Final = timedelta(days=7)
"""For the slowest rank's videos. One that dies is torchrun's to notice: it ends the others."""


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
        """Whether this rank takes the video number `place`."""
        return place % self.count == self.rank

    def together(self, own: list[Any]) -> list[Any]:
        """Every rank's list, one after another; all ranks call it equally often."""
        if self.count == 1:
            return own
        everyones: list[Any] = [None] * self.count
        torch.distributed.all_gather_object(everyones, own)
        return [one for those in everyones for one in those]

    def wait(self) -> None:
        """Until all ranks are here."""
        self.together([])

    def leave(self) -> None:
        """Part from the others."""
        if self.count > 1:
            torch.distributed.destroy_process_group()
