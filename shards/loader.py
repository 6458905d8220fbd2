"""A rank's batches, decoded by workers, with a position that can be saved and resumed by any number of ranks."""

import hashlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from torch.utils.data import DataLoader, Dataset

from videorouter.interruption import leave_leaving_to_parent, starting_workers
from videorouter.shards.epoch_order import Batch, EpochOrder, Item, share
from videorouter.shards.errors import ShardError

_log = logging.getLogger(__name__)

Loaded = TypeVar("Loaded")

PREFETCH: Final = 2
"""Batches that a worker has ready."""


@dataclass(frozen=True)
class Quarantined:
    """An item that does not read, and why."""

    item: Item
    error: ShardError


class EpochLoader(Generic[Loaded]):
    """Iterates over one rank's batches of an epoch, at the next iteration over the next epoch's, after a resume over the rest.

    A batch is a list of what `read` made of its items, in order. `state_dict` may be taken after any step; the state of one
    rank is the state of all, whatever their number (Lightning saves and restores it with its checkpoints).

    Args:
        read: what becomes of an item; runs in the workers, a `ShardError` it raises puts the item in quarantine
        order: who reads what
        data: names what is read, so that no state is resumed on other data: `Catalogue.fingerprint`
        rank: this process
        world_size: all processes
        workers: loader processes
        tolerate: damaged samples an epoch that are left out (kept in `quarantine`) before this rank stops with an error. A
            batch of which nothing is left is filled with the rank's next item that reads.
        prefetch: batches each worker has ready; memory is bounded by `workers * prefetch + 1` batches
        batches_a_step: batches, over all ranks, of one optimizer step; an epoch is then cut to whole steps, so that it takes
            equally many under any number of ranks
        whole_epoch: leave no batch out that the ranks cannot share equally: some get the last one again
    """

    def __init__(
        self,
        read: Callable[[Item], Loaded],
        order: EpochOrder,
        *,
        data: str = "",
        rank: int = 0,
        world_size: int = 1,
        workers: int = 0,
        tolerate: int = 0,
        prefetch: int = PREFETCH,
        batches_a_step: int | None = None,
        whole_epoch: bool = False,
    ) -> None:
        self.order, self.rank, self.world_size = order, rank, world_size
        self.workers, self.tolerate, self.prefetch = workers, tolerate, prefetch
        self.batches_a_step, self.whole_epoch = batches_a_step, whole_epoch
        self.quarantine: list[Quarantined] = []
        self.read = read
        self._data = hashlib.sha256(f"{data} {order.fingerprint}".encode()).hexdigest()
        self._epoch = self._consumed = 0
        self._resumed = False
        share(
            order.batches(0), rank, world_size, 0, batches_a_step
        )  # too little data is said before anything else is done

    def __len__(self) -> int:
        """Steps of the current epoch: those taken and those still to come."""
        return self.steps + len(self._share(self._epoch, self._consumed))

    @property
    def steps(self) -> int:
        """Batches that this rank has taken of the current epoch."""
        return self._consumed // self.world_size

    def __iter__(self) -> Iterator[list[Loaded]]:
        if self._consumed and not (self._resumed and self._share(self._epoch, self._consumed)):
            self._epoch, self._consumed = self._epoch + 1, 0
        self._resumed = False
        for batch in self._batches():
            self._consumed += self.world_size
            yield batch

    def pass_over(self) -> Iterator[list[Loaded]]:
        """The batches the next iteration gives, with the position left as it is: for statistics before training."""
        return self._batches()

    def state_dict(self) -> dict[str, Any]:
        """Where the epoch stands: `consumed` counts batches of all ranks."""
        return {"epoch": self._epoch, "consumed": self._consumed, "data": self._data}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a saved state. Raises `ValueError` where it was saved with other data, limits or seed."""
        if state["data"] != self._data:
            raise ValueError(
                "the position was saved with other shards, batch limits or another seed: resume with what it was "
                "started with, or begin anew from the weights alone"
            )
        self._epoch, self._consumed = state["epoch"], state["consumed"]
        self._resumed = True

    def reading(self) -> Callable[[Item], Loaded]:
        """What workers do with an item, from the beginning of an iteration to its end."""
        return self.read

    def _batches(self) -> Iterator[list[Loaded]]:
        batches = self._share(self._epoch, self._consumed)
        self.quarantine = []
        loader = DataLoader(
            _Items(self.reading()),
            batch_sampler=batches,  # type: ignore[arg-type]
            num_workers=self.workers,
            prefetch_factor=self.prefetch if self.workers else None,
            multiprocessing_context="fork" if self.workers else None,
            collate_fn=list,
            worker_init_fn=leave_leaving_to_parent,
        )
        with starting_workers():
            loading = iter(loader)
        for number, loaded in enumerate(loading):
            yield self._sound(loaded) or self._stand_in(batches[number:])

    def _share(self, epoch: int, start: int) -> list[Batch]:
        batches = self.order.batches(epoch)
        return share(batches, self.rank, self.world_size, start, self.batches_a_step, self.whole_epoch).batches

    def _sound(self, loaded: list[Loaded | Quarantined]) -> list[Loaded]:
        """What was read. Raises the error of the first damaged item that is more than tolerated."""
        sound = []
        for one in loaded:
            if isinstance(one, Quarantined):
                _log.warning("left out, it does not read: %s", one.error)
                self.quarantine.append(one)
                if len(self.quarantine) > self.tolerate:
                    raise one.error
            else:
                sound.append(one)
        return sound

    def _stand_in(self, following: list[Batch]) -> list[Loaded]:
        """One item that reads in place of a batch of which nothing is left: other ranks wait for this step."""
        for item in (item for batch in (*following[1:], *self.order.batches(self._epoch)) for item in batch):
            loaded = _Items(self.read)[item]
            if not isinstance(loaded, Quarantined):
                return [loaded]
        raise self.quarantine[-1].error


class _Items(Dataset[Any], Generic[Loaded]):
    """Items by themselves: what a worker does."""

    def __init__(self, read: Callable[[Item], Loaded]) -> None:
        self.read = read

    def __getitem__(self, item: Item) -> Loaded | Quarantined:
        try:
            return self.read(item)
        except ShardError as error:
            return Quarantined(item, error)
