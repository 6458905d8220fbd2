"""Stage-2 data: questions with their policy; the frames of the shards are not decoded."""

from dataclasses import dataclass

import pytorch_lightning as pl
from torch.utils.data import DataLoader

from shards import ShardDataset


@dataclass(frozen=True)
class QuestionPolicy:
    """A question without its options and the policy that answers it best."""

    question: str
    policy: str


class QuestionPolicyData(pl.LightningDataModule):
    """Video-QTR shards for training and validation."""

    def __init__(
        self, shards: str, batch_size: int = 4, workers: int = 0, train_split: str = "train", val_split: str = "val"
    ) -> None:
        """Read the shard folder `shards`.

        Args:
            shards: folder written by `python -m data_builders qtr`
            batch_size: questions a step and device
            workers: loader processes
            train_split: split trained on
            val_split: split validated on
        """
        super().__init__()
        self.folder, self.batch_size, self.workers = shards, batch_size, workers
        self.splits = {"train": train_split, "val": val_split}

    def setup(self, stage: str) -> None:
        self.questions = {
            role: _labelled(ShardDataset(self.folder, split=split)) for role, split in self.splits.items()
        }
        for role, questions in self.questions.items():
            if not questions:
                raise ValueError(f"no question with a policy label in split {self.splits[role]!r} of {self.folder}")

    def train_dataloader(self) -> DataLoader[QuestionPolicy]:
        return self._loader("train")

    def val_dataloader(self) -> DataLoader[QuestionPolicy]:
        return self._loader("val")

    def _loader(self, role: str) -> DataLoader[QuestionPolicy]:
        return DataLoader(
            self.questions[role],  # type: ignore[arg-type]
            batch_size=self.batch_size,
            shuffle=role == "train",
            num_workers=self.workers,
            collate_fn=list,
        )


def _labelled(shards: ShardDataset) -> list[QuestionPolicy]:
    return [
        QuestionPolicy(labelled.question.question, labelled.policy.policy)
        for index in range(len(shards))
        for labelled in shards[index].questions
        if labelled.policy is not None
    ]
