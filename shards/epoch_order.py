"""Who reads what: a pure function of (data, limits, seed, epoch), cut into equal shares for any number of ranks.

Items are videos with some of their questions. Videos are shuffled, a video's items stay neighbours; batches are packed on this
global order before ranks come in. Every epoch has the same number of batches: trainers plan with that of the first (Lightning
stops an epoch there, the learning rate's schedule counts on it). Rank r of W takes every W-th batch from where the epoch stands,
so all ranks take equally many steps, and the global order depends neither on the number of ranks nor on that of workers.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from videorouter.shards.errors import TooLittleData

PLANNED: Final = 4
"""Shuffles that are packed to plan the number of batches: the most that one of them takes."""
TRIED: Final = 64
"""Shuffles that are tried until one packs into the planned number."""


@dataclass(frozen=True)
class Item:
    """The sample with number `sample` in its data set, and the numbers of the questions asked of it together."""

    sample: int
    questions: tuple[int, ...]


Batch = tuple[Item, ...]


@dataclass(frozen=True)
class Limits:
    """How items and batches are cut.

    Args:
        questions_per_item: questions of one video that are asked together, so that they share its encoded frames
        questions: most questions in a batch
        tokens: most tokens in a batch, each question reading all of its video's frames; None for any number
        tokens_per_frame: what a frame counts for
    """

    questions_per_item: int = 8
    questions: int = 16
    tokens: int | None = None
    tokens_per_frame: int = 256

    def __post_init__(self) -> None:
        if self.questions_per_item < 1 or self.questions < 1 or self.tokens_per_frame < 1:
            raise ValueError("questions_per_item, questions and tokens_per_frame must be at least 1")
        if self.questions_per_item > self.questions:
            raise ValueError(
                f"an item of {self.questions_per_item} questions does not fit a batch of {self.questions}: "
                "lower questions_per_item or raise the batch's"
            )


class EpochOrder:
    """The batches of every epoch.

    Args:
        asked: of every sample the numbers of the questions that are asked
        frames: of every sample the number of frames
        limits: how batches are cut
        seed: of the shuffling; None keeps the data set's order

    Raises:
        ValueError: where nothing is asked, or a video's questions alone exceed the limit of tokens.
    """

    def __init__(
        self, asked: Sequence[Sequence[int]], frames: Sequence[int], limits: Limits, seed: int | None = 0
    ) -> None:
        self.limits, self.seed = limits, seed
        self._frames = frames
        most = limits.questions_per_item
        self._videos = [
            [Item(sample, tuple(numbers[start : start + most])) for start in range(0, len(numbers), most)]
            for sample, numbers in enumerate(asked)
            if numbers
        ]
        if not self._videos:
            raise ValueError("no video has a question that is asked")
        for item in (item for items in self._videos for item in items):
            if limits.tokens is not None and self._tokens(item) > limits.tokens:
                raise ValueError(
                    f"{len(item.questions)} questions about sample {item.sample} of {frames[item.sample]} frames are "
                    f"{self._tokens(item)} tokens, more than a batch's {limits.tokens}: raise it or ask fewer together"
                )
        plans = [self._pack(self._shuffled(0, draw)) for draw in range(1 if seed is None else PLANNED)]
        self._widest = max(plans, key=len)
        self._made: tuple[int, list[Batch]] | None = None

    def __len__(self) -> int:
        """Batches an epoch, over all ranks."""
        return len(self._widest)

    @property
    def fingerprint(self) -> str:
        """Of everything the order depends on: equal where all epochs are equal."""
        parts = (self.limits, self.seed, self._videos, list(self._frames))
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def batches(self, epoch: int) -> list[Batch]:
        """All batches of an epoch in their global order."""
        if self._made is None or self._made[0] != epoch:
            self._made = (epoch, self._drawn(epoch))
        return self._made[1]

    def _drawn(self, epoch: int) -> list[Batch]:
        """The first shuffle that packs into the planned number of batches or fewer; the largest are then halved."""
        for draw in range(TRIED):
            batches = self._pack(self._shuffled(epoch, draw))
            if len(batches) <= len(self):
                return _halved(batches, len(self))
        return self._widest

    def _shuffled(self, epoch: int, draw: int) -> list[Item]:
        videos = list(self._videos)
        if self.seed is not None:
            Random(f"{self.seed} {epoch} {draw}").shuffle(videos)
        return [item for items in videos for item in items]

    def _pack(self, items: Sequence[Item]) -> list[Batch]:
        """Consecutive items until one would exceed a limit."""
        batches: list[Batch] = []
        batch: list[Item] = []
        questions = tokens = 0
        for item in items:
            more = self._tokens(item)
            full = questions + len(item.questions) > self.limits.questions
            if self.limits.tokens is not None:
                full = full or tokens + more > self.limits.tokens
            if batch and full:
                batches.append(tuple(batch))
                batch, questions, tokens = [], 0, 0
            batch.append(item)
            questions += len(item.questions)
            tokens += more
        return [*batches, tuple(batch)]

    def _tokens(self, item: Item) -> int:
        return self._frames[item.sample] * self.limits.tokens_per_frame * len(item.questions)


def _halved(batches: Sequence[Batch], count: int) -> list[Batch]:
    """`batches` in their order, those of most items halved until there are `count`."""
    parts = list(batches)
    while len(parts) < count:
        largest = max(range(len(parts)), key=lambda number: len(parts[number]))
        middle = len(parts[largest]) // 2
        parts[largest : largest + 1] = [parts[largest][:middle], parts[largest][middle:]]
    return parts


@dataclass(frozen=True)
class Share:
    """What one rank reads of an epoch from global batch number `start` on.

    `batches` are its own, in order; `remainder` the global batches at the epoch's end that are left out of this epoch, so that
    all ranks take equally many steps.
    """

    batches: list[Batch]
    remainder: list[Batch]


def share(
    batches: Sequence[Batch],
    rank: int,
    world_size: int,
    start: int = 0,
    batches_a_step: int | None = None,
    whole_epoch: bool = False,
) -> Share:
    """Rank `rank`'s part of the global order.

    With `batches_a_step` an epoch is cut to whole optimizer steps of so many batches, whatever the number of ranks that share
    them. With `whole_epoch` nothing is left out: ranks for which nothing is left at the end get the last batch again, which must
    not count (`StepLoader` says so).

    Raises `TooLittleData` where an epoch has fewer batches than there are ranks, or than a step takes; `ValueError` where the
    ranks cannot share a step equally.
    """
    if not 0 <= rank < world_size:
        raise ValueError(f"rank {rank} is none of {world_size}")
    if len(batches) < world_size:
        raise TooLittleData(
            f"{len(batches)} batches an epoch cannot feed {world_size} ranks: use fewer ranks, smaller batches or more data"
        )
    whole = len(batches)
    if batches_a_step is not None:
        if batches_a_step % world_size:
            raise ValueError(f"{batches_a_step} batches a step cannot be shared equally by {world_size} ranks")
        if whole < batches_a_step:
            raise TooLittleData(
                f"{whole} batches an epoch are fewer than the {batches_a_step} of one optimizer step: accumulate fewer, use "
                "smaller batches or more data"
            )
        whole -= whole % batches_a_step
    if whole_epoch:
        steps = max(0, -(-(whole - start) // world_size))
        numbers = [start + rank + step * world_size for step in range(steps)]
        return Share([batches[min(number, whole - 1)] for number in numbers], [])
    steps = (whole - start) // world_size
    end = start + steps * world_size
    return Share(list(batches[start + rank : end : world_size]), list(batches[end:]))
