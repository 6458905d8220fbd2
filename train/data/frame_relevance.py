"""Stage-1 data: a video with up to q of its questions, so that the questions share the encoded frames."""

from dataclasses import dataclass

import numpy as np
import pytorch_lightning as pl
from torch.utils.data import DataLoader, Dataset

from shards import LabelledQuestion, ShardDataset, ShardSample


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


class FrameRelevanceDataset(Dataset[VideoRelevance]):
    """Groups of at most `questions_per_item` usable questions of one video; a video with more gives several items."""

    def __init__(self, shards: ShardDataset, questions_per_item: int, max_relevant_share: float) -> None:
        self.shards = shards
        self.groups: list[tuple[int, list[int]]] = []
        for index in range(len(shards)):
            usable = [i for i, question in enumerate(shards[index].questions) if _usable(question, max_relevant_share)]
            self.groups += [
                (index, usable[start : start + questions_per_item])
                for start in range(0, len(usable), questions_per_item)
            ]

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, item: int) -> VideoRelevance:
        index, chosen = self.groups[item]
        sample = self.shards[index]
        labelled = [sample.questions[i] for i in chosen]
        relevant = [question.relevance.relevant for question in labelled if question.relevance]
        return VideoRelevance(sample.key, sample, [question.question.question for question in labelled], relevant)


class FrameRelevanceData(pl.LightningDataModule):
    """Video-FLR shards for training and validation."""

    def __init__(
        self,
        shards: str,
        batch_size: int = 16,
        questions_per_item: int = 8,
        max_relevant_share: float = 0.5,
        workers: int = 0,
        train_split: str = "train",
        val_split: str = "val",
    ) -> None:
        """Read the shard folder `shards`.

        Args:
            shards: folder written by `python -m data_builders flr`
            batch_size: (video, question) pairs a step and device
            questions_per_item: questions of one video that go through a step together
            max_relevant_share: questions with more evidence than this are left out: they are `global` ones, for which
                the Image Router never runs
            workers: loader processes
            train_split: split trained on
            val_split: split validated on
        """
        super().__init__()
        if batch_size % questions_per_item:
            raise ValueError(f"batch_size {batch_size} is no multiple of questions_per_item {questions_per_item}")
        self.folder, self.batch_size, self.questions_per_item = shards, batch_size, questions_per_item
        self.max_relevant_share, self.workers = max_relevant_share, workers
        self.splits = {"train": train_split, "val": val_split}

    def setup(self, stage: str) -> None:
        self.datasets = {
            role: FrameRelevanceDataset(
                ShardDataset(self.folder, split=split), self.questions_per_item, self.max_relevant_share
            )
            for role, split in self.splits.items()
        }
        for role, dataset in self.datasets.items():
            if not len(dataset):
                raise ValueError(f"no question with frame relevance in split {self.splits[role]!r} of {self.folder}")

    def train_dataloader(self) -> DataLoader[VideoRelevance]:
        return self._loader("train")

    def val_dataloader(self) -> DataLoader[VideoRelevance]:
        return self._loader("val")

    def _loader(self, role: str) -> DataLoader[VideoRelevance]:
        return DataLoader(
            self.datasets[role],
            batch_size=max(1, self.batch_size // self.questions_per_item),
            shuffle=role == "train",
            num_workers=self.workers,
            collate_fn=list,
        )


def _usable(question: LabelledQuestion, max_relevant_share: float) -> bool:
    if question.relevance is None:
        return False
    relevant = question.relevance.relevant
    return 0 < sum(relevant) <= max_relevant_share * len(relevant)
