"""Stage-2 data: questions with their policy; the frames of the shards are not decoded."""

from dataclasses import dataclass
from functools import partial

import pytorch_lightning as pl

from shards import ShardDataset
from shards.loader import EpochLoader
from shards.order import EpochOrder, Item, Limits


@dataclass(frozen=True)
class QuestionPolicy:
    """A question without its options and the policy that answers it best."""

    question: str
    policy: str


class QuestionPolicyData(pl.LightningDataModule):
    """Video-QTR shards for training and validation."""

    def __init__(
        self,
        shards: str,
        batch_size: int = 4,
        workers: int = 0,
        seed: int = 0,
        train_split: str = "train",
        val_split: str = "val",
    ) -> None:
        """Read the shard folder `shards`.

        Args:
            shards: folder or fsspec address, written by `python -m data_builders qtr`
            batch_size: questions a step and device
            workers: loader processes
            seed: of the order of questions
            train_split: split trained on
            val_split: split validated on
        """
        super().__init__()
        self.folder, self.batch_size, self.workers, self.seed = shards, batch_size, workers, seed
        self.splits = {"train": train_split, "val": val_split}

    def setup(self, stage: str) -> None:
        """Raises `ValueError` where a split has no labelled question, `ShardError` where it does not read."""
        self.datasets = {role: ShardDataset(self.folder, split=split) for role, split in self.splits.items()}
        self.questions = {role: _labelled(shards) for role, shards in self.datasets.items()}
        for role, questions in self.questions.items():
            if not questions:
                raise ValueError(f"no question with a policy label in split {self.splits[role]!r} of {self.folder}")

    def train_dataloader(self) -> EpochLoader[QuestionPolicy]:
        return self._loader("train")

    def val_dataloader(self) -> EpochLoader[QuestionPolicy]:
        return self._loader("val")

    def _loader(self, role: str) -> EpochLoader[QuestionPolicy]:
        """Items are questions by themselves: no frames are read that they could share."""
        questions = self.questions[role]
        order = EpochOrder(
            [(0,)] * len(questions),
            [1] * len(questions),
            Limits(questions_per_item=1, questions=self.batch_size),
            self.seed if role == "train" else None,
        )
        return EpochLoader(
            partial(_numbered, questions),
            order,
            data=self.datasets[role].catalogue.fingerprint,
            rank=self.trainer.global_rank if self.trainer else 0,
            world_size=self.trainer.world_size if self.trainer else 1,
            workers=self.workers,
        )


def _numbered(questions: list[QuestionPolicy], item: Item) -> QuestionPolicy:
    return questions[item.sample]


def _labelled(shards: ShardDataset) -> list[QuestionPolicy]:
    return [
        QuestionPolicy(labelled.question.question, labelled.policy.policy)
        for index in range(len(shards))
        for labelled in shards.labels(index)
        if labelled.policy is not None
    ]
