"""Stage-1 data: a video with up to q of its questions, so that the questions share the encoded frames."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from videorouter.shards.epoch_order import EpochOrder, Item, Limits
from videorouter.shards.reader import ShardDataset
from videorouter.shards.schema import LabelledQuestion
from videorouter.train.data.feeding import FedVideo
from videorouter.train.data.shard_data import ShardData, frames_of
from videorouter.train.data.steps import Counts, counted


@dataclass(frozen=True)
class VideoRelevance(FedVideo):
    """One video, the Q questions asked of it and for each one bool per frame."""

    asked: list[str]
    relevant: list[list[bool]]


class FrameRelevanceData(ShardData):
    """Video-FLR shards for training and validation."""

    def __init__(
        self,
        shards: str,
        batch_size: int = 16,
        questions_per_item: int = 8,
        tokens: int | None = None,
        tokens_per_frame: int = 256,
        max_relevant_share: float = 0.5,
        workers: int = 0,
        tolerate: int = 0,
        batches_a_step: int | None = None,
        seed: int = 0,
        train_split: str = "train",
        val_split: str = "val",
    ) -> None:
        """Read the shard folder `shards`.

        Args:
            shards: folder or fsspec address, written by `videorouter data_builders flr`
            batch_size: most (video, question) pairs a step and device
            questions_per_item: questions of one video that go through a step together
            tokens: most visual tokens a step and device, each pair reading all frames of its video; any number where not
                given
            tokens_per_frame: what a frame counts for
            max_relevant_share: questions with more evidence than this are left out: they are `global` ones, for which
                the Image Router never runs
            workers: loader processes
            tolerate: damaged samples an epoch and rank that are left out before training stops
            batches_a_step: batches, over all ranks, of one optimizer step; ranks times accumulation where not given
            seed: of the order of videos
            train_split: split trained on
            val_split: split validated on
        """
        super().__init__(shards, workers, tolerate, batches_a_step, seed, train_split, val_split)
        self.limits = Limits(min(questions_per_item, batch_size), batch_size, tokens, tokens_per_frame)
        self.max_relevant_share = max_relevant_share
        self._labelled: dict[str, dict[tuple[int, int], Counts]] = {}

    def prepare(self, role: str, shards: ShardDataset) -> EpochOrder:
        counts: dict[tuple[int, int], Counts] = {}
        asked: list[list[int]] = []
        for index in range(len(shards)):
            asked.append([])
            for number, question in enumerate(shards.labels(index)):
                if question.relevance is not None and _usable(question, self.max_relevant_share):
                    relevant = question.relevance.relevant
                    asked[-1].append(number)
                    counts[index, number] = Counts(1, sum(relevant), len(relevant) - sum(relevant))
        self._labelled[role] = counts
        if not any(asked):
            raise ValueError(f"no question with frame relevance in split {self.splits[role]!r} of {self.folder}")
        return EpochOrder(asked, frames_of(shards), self.limits, self.seed if role == "train" else None)

    def reader(self, role: str) -> Callable[[Item], VideoRelevance]:
        return partial(video_relevance, self.datasets[role])

    def counter(self, role: str) -> Callable[[Item], Counts]:
        return partial(counted, self._labelled[role])


def video_relevance(shards: ShardDataset, item: Item) -> VideoRelevance:
    """Some of a sample's questions with their labels. Raises `ShardError`."""
    sample = shards[item.sample]
    labelled = [sample.questions[number] for number in item.questions]
    relevant = [question.relevance.relevant for question in labelled if question.relevance]
    return VideoRelevance(sample.key, sample, [question.question.question for question in labelled], relevant)


def _usable(question: LabelledQuestion, max_relevant_share: float) -> bool:
    if question.relevance is None:
        return False
    relevant = question.relevance.relevant
    return 0 < sum(relevant) <= max_relevant_share * len(relevant)
