"""Microbatches that know what their whole optimizer step holds, over all ranks, before any of it is computed (ours).

Losses are divided by what the step counts (questions, labelled frames), so they do not depend on how a step was cut into
microbatches and ranks. Counts follow from the order and the labels alone: nobody has to be asked.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from videorouter.shards.epoch_order import Batch, EpochOrder, Item
from videorouter.shards.frame_ring import FrameRing
from videorouter.shards.loader import EpochLoader
from videorouter.train.data.feeding import Feeding, RingSize

Loaded = TypeVar("Loaded")


@dataclass(frozen=True)
class Counts:
    """Labels of some questions: `relevant` and `irrelevant` frames, and how many have a policy (`policies`)."""

    questions: int = 0
    relevant: int = 0
    irrelevant: int = 0
    policies: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(mine + theirs for mine, theirs in zip(self._numbers, other._numbers, strict=True)))

    @property
    def frames(self) -> int:
        """Frames with a relevance label, one for every question asked of them."""
        return self.relevant + self.irrelevant

    @property
    def _numbers(self) -> tuple[int, ...]:
        return self.questions, self.relevant, self.irrelevant, self.policies


class Microbatch(Generic[Loaded]):
    """What one rank computes at a time.

    `of_step` counts the whole optimizer step; `widest` is the largest number of questions that any rank computes at the same
    time, `last` says that the optimizer steps after it. One that is `repeated` is another rank's, computed to keep step with the
    rest, and counts for nothing. (No dataclass: Lightning would look for tensors to convert inside.)
    """

    def __init__(self, items: list[Loaded], of_step: Counts, widest: int, last: bool, repeated: bool = False) -> None:
        self.items, self.of_step, self.widest, self.last, self.repeated = items, of_step, widest, last, repeated


class StepLoader(EpochLoader[Loaded]):
    """`EpochLoader` whose batches are `Microbatch`es.

    `count` gives the labels of an item; without `batches_a_step` every step takes one batch of every rank. With `feeding` workers
    make frames ready, in a ring of `ring` size.
    """

    def __init__(
        self,
        read: Callable[[Item], Loaded],
        order: EpochOrder,
        count: Callable[[Item], Counts],
        *,
        feeding: Feeding | None = None,
        ring: RingSize | None = None,
        **options: Any,
    ) -> None:
        super().__init__(read, order, **options)
        self._count, self._feeding, self._ring_size = count, feeding, ring
        self.waited = 0.0
        """Seconds in which this rank waited for samples, so far."""

    def reading(self) -> Callable[[Item], Any]:
        """With a ring of its own for every iteration: what an earlier one left there is free when nobody looks at it."""
        read: Callable[[Item], Any] = self.read
        if self._feeding is None:
            return read
        size = self._ring_size if self.workers else None
        return partial(self._feeding.feed, read, None if size is None else FrameRing(size.slots, size.slot_bytes))

    def __iter__(self) -> Iterator[Microbatch[Loaded]]:  # type: ignore[override]
        return super().__iter__()  # type: ignore[return-value]

    def pass_over(self) -> Iterator[Microbatch[Loaded]]:  # type: ignore[override]
        """As `EpochLoader.pass_over`."""
        return self._batches()

    def _batches(self) -> Iterator[Microbatch[Loaded]]:  # type: ignore[override]
        batches, at = self.order.batches(self._epoch), self._consumed
        a_step, counted = self.batches_a_step or self.world_size, (-1, Counts())
        reading = super()._batches()
        while True:
            asked = time.perf_counter()
            loaded = next(reading, None)
            self.waited += time.perf_counter() - asked
            if loaded is None:
                return
            first = at // a_step * a_step
            if counted[0] != first:
                counted = (first, self._counts(batches[first : first + a_step]))
            beside, repeated = batches[at : at + self.world_size], at + self.rank >= len(batches)
            at += self.world_size
            yield Microbatch(loaded, counted[1], max(map(_questions, beside)), at >= first + a_step, repeated)

    def _counts(self, batches: list[Batch]) -> Counts:
        return sum((self._count(item) for batch in batches for item in batch), Counts())


def _questions(batch: Batch) -> int:
    return sum(len(item.questions) for item in batch)


def counted(labels: Mapping[tuple[int, int], Counts], item: Item) -> Counts:
    """The labels of an item, from those of each question by (sample, number)."""
    return sum((labels[item.sample, number] for number in item.questions), Counts())


def batches_of_step(trainer: Any, wanted: int | None) -> int:
    """Batches, over all ranks, that one optimizer step of a Lightning trainer takes; `wanted` where given."""
    if wanted is not None:
        return wanted
    return trainer.world_size * trainer.accumulate_grad_batches if trainer else 1
