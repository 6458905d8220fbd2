"""Stage-1 data: a video with up to q of its questions, so that the questions share the encoded frames."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pytorch_lightning as pl

from shards import LabelledQuestion, ShardDataset, ShardSample
from shards.loader import EpochLoader
from shards.order import EpochOrder, Item, Limits


@dataclass(frozen=True)
class VideoRelevance:
    """One video's frames (as JPEG until asked for), Q questions and for each one bool per frame."""

    key: str
    sample: ShardSample
    questions: list[str]
    relevant: list[list[bool]]

    def frames(self) -> np.ndarray:
        """uint8 `[T, H, W, 3]`."""
        return self.sample.frames()


class FrameRelevanceData(pl.LightningDataModule):
    """Video-FLR shards for training and validation; every rank takes equally many steps and resumes where it stood."""

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
        seed: int = 0,
        train_split: str = "train",
        val_split: str = "val",
    ) -> None:
        """Read the shard folder `shards`.

        Args:
            shards: folder or fsspec address, written by `python -m data_builders flr`
            batch_size: most (video, question) pairs a step and device
            questions_per_item: questions of one video that go through a step together
            tokens: most visual tokens a step and device, each pair reading all frames of its video; any number where not
                given
            tokens_per_frame: what a frame counts for
            max_relevant_share: questions with more evidence than this are left out: they are `global` ones, for which
                the Image Router never runs
            workers: loader processes
            tolerate: damaged samples an epoch and rank that are left out before training stops
            seed: of the order of videos
            train_split: split trained on
            val_split: split validated on
        """
        super().__init__()
        self.limits = Limits(min(questions_per_item, batch_size), batch_size, tokens, tokens_per_frame)
        self.folder, self.max_relevant_share = shards, max_relevant_share
        self.workers, self.tolerate, self.seed = workers, tolerate, seed
        self.splits = {"train": train_split, "val": val_split}

    def setup(self, stage: str) -> None:
        """Raises `ValueError` where a split has no usable question, `ShardError` where it does not read."""
        self.datasets = {role: ShardDataset(self.folder, split=split) for role, split in self.splits.items()}
        self.orders = {role: self._order(role) for role in self.datasets}

    def train_dataloader(self) -> EpochLoader[VideoRelevance]:
        return self._loader("train")

    def val_dataloader(self) -> EpochLoader[VideoRelevance]:
        return self._loader("val")

    def _order(self, role: str) -> EpochOrder:
        shards = self.datasets[role]
        asked = [
            [n for n, question in enumerate(shards.labels(index)) if _usable(question, self.max_relevant_share)]
            for index in range(len(shards))
        ]
        if not any(asked):
            raise ValueError(f"no question with frame relevance in split {self.splits[role]!r} of {self.folder}")
        frames = [place.entry.frames for place in shards.catalogue.places]
        return EpochOrder(asked, frames, self.limits, self.seed if role == "train" else None)

    def _loader(self, role: str) -> EpochLoader[VideoRelevance]:
        return EpochLoader(
            partial(video_relevance, self.datasets[role]),
            self.orders[role],
            data=self.datasets[role].catalogue.fingerprint,
            rank=self.trainer.global_rank if self.trainer else 0,
            world_size=self.trainer.world_size if self.trainer else 1,
            workers=self.workers,
            tolerate=self.tolerate,
        )


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
