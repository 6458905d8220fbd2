"""Stage-2 data: questions with their policy; the frames of the shards are not decoded."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from videorouter.shards.epoch_order import EpochOrder, Item, Limits
from videorouter.shards.reader import ShardDataset
from videorouter.train.data.shard_data import ShardData
from videorouter.train.data.steps import Counts
from videorouter.train.data.word_noise import words_of


@dataclass(frozen=True)
class QuestionPolicy:
    """A question about the video `key`, without its options, and the policy that answers it best."""

    key: str
    question: str
    policy: str

    @property
    def asked(self) -> tuple[str, ...]:
        return (self.question,)


class QuestionPolicyData(ShardData):
    """Video-QTR shards for training and validation. Items are questions by themselves: no frames are read that they could share."""

    def __init__(
        self,
        shards: str,
        batch_size: int = 4,
        workers: int = 0,
        batches_a_step: int | None = None,
        seed: int = 0,
        train_split: str = "train",
        val_split: str = "val",
    ) -> None:
        """Read the shard folder `shards`.

        Args:
            shards: folder or fsspec address, written by `videorouter data_builders qtr`
            batch_size: questions a step and device
            workers: loader processes
            batches_a_step: batches, over all ranks, of one optimizer step; ranks times accumulation where not given
            seed: of the order of questions
            train_split: split trained on
            val_split: split validated on
        """
        super().__init__(shards, workers, 0, batches_a_step, seed, train_split, val_split)
        self.limits = Limits(questions_per_item=1, questions=batch_size)
        self.questions: dict[str, list[QuestionPolicy]] = {}
        self.words: list[str] = []

    def prepare(self, role: str, shards: ShardDataset) -> EpochOrder:
        questions = self.questions[role] = questions_with_policy(shards)
        if not questions:
            raise ValueError(f"no question with a policy label in split {self.splits[role]!r} of {self.folder}")
        if role == "train":
            self.words = words_of([item.question for item in questions])
        seed = self.seed if role == "train" else None
        return EpochOrder([(0,)] * len(questions), [1] * len(questions), self.limits, seed)

    def reader(self, role: str) -> Callable[[Item], QuestionPolicy]:
        return partial(_numbered, self.questions[role])

    def counter(self, role: str) -> Callable[[Item], Counts]:
        return _one_policy


def _numbered(questions: list[QuestionPolicy], item: Item) -> QuestionPolicy:
    return questions[item.sample]


def _one_policy(item: Item) -> Counts:
    return Counts(questions=1, policies=1)


def questions_with_policy(shards: ShardDataset) -> list[QuestionPolicy]:
    """All questions that have a policy label, in the shards' order."""
    return [
        QuestionPolicy(shards.catalogue.places[index].entry.key, labelled.question.question, labelled.policy.policy)
        for index in range(len(shards))
        for labelled in shards.labels(index)
        if labelled.policy is not None
    ]
