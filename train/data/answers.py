"""Stage-3 data: a video with some of its questions and their answers; labels of routers where a question has them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from videorouter.shards.epoch_order import EpochOrder, Item, Limits
from videorouter.shards.reader import ShardDataset
from videorouter.shards.schema import LabelledQuestion
from videorouter.train.data.feeding import FedVideo
from videorouter.train.data.shard_data import ShardData, frames_of, origin
from videorouter.train.data.steps import Counts, counted


@dataclass(frozen=True)
class AnsweredQuestion:
    """One question with its answer; `policy` and `relevant` (one bool a frame) are None where it has no such label."""

    question: str
    options: tuple[str, ...] | None
    answer: str
    policy: str | None
    relevant: list[bool] | None


@dataclass(frozen=True)
class VideoAnswers(FedVideo):
    """One video and the questions asked of it together."""

    questions: list[AnsweredQuestion]

    @property
    def asked(self) -> list[str]:
        return [answered.question for answered in self.questions]


class AnswerData(ShardData):
    """Questions with answers; labels that `shards` lacks are taken from `more_labels`, by the questions' ids."""

    def __init__(
        self,
        shards: str,
        more_labels: str | None = None,
        batch_size: int = 4,
        questions_per_item: int = 4,
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
            shards: folder or fsspec address of a data set whose questions have answers
            more_labels: another data set, with policies where the first has relevance, say, or the other way round
            batch_size: most questions a microbatch and device
            questions_per_item: questions of one video that go through a microbatch together
            max_relevant_share: relevance of questions with more evidence than this is no label: they are `global` ones
            workers: loader processes
            tolerate: damaged samples an epoch and rank that are left out before training stops
            batches_a_step: batches, over all ranks, of one optimizer step; ranks times accumulation where not given
            seed: of the order of videos
            train_split: split trained on
            val_split: split validated on
        """
        super().__init__(shards, workers, tolerate, batches_a_step, seed, train_split, val_split)
        self.limits = Limits(min(questions_per_item, batch_size), batch_size)
        self.more_labels, self.max_relevant_share = more_labels, max_relevant_share
        self._more: dict[str, LabelledQuestion] = {}
        self._answered: dict[str, dict[tuple[int, int], AnsweredQuestion]] = {}

    def setup(self, stage: str) -> None:
        if self.more_labels is not None:
            self._more = _by_id(ShardDataset(self.more_labels))
        super().setup(stage)

    def prepare(self, role: str, shards: ShardDataset) -> EpochOrder:
        answered = self._answered[role] = {
            (index, number): self._merged(labelled, self._more.get(labelled.question.id, labelled))
            for index in range(len(shards))
            for number, labelled in enumerate(shards.labels(index))
            if labelled.question.answer is not None
        }
        if not answered:
            raise ValueError(f"no question with an answer in split {self.splits[role]!r} of {self.folder}")
        asked: list[list[int]] = [[] for _ in range(len(shards))]
        for index, number in answered:
            asked[index].append(number)
        return EpochOrder(asked, frames_of(shards), self.limits, self.seed if role == "train" else None)

    def reader(self, role: str) -> Callable[[Item], VideoAnswers]:
        return partial(video_answers, self.datasets[role], self._answered[role])

    def counter(self, role: str) -> Callable[[Item], Counts]:
        return partial(counted, {place: _counts(one) for place, one in self._answered[role].items()})

    def origins(self) -> list[dict[str, Any]]:
        return super().origins() + ([] if self.more_labels is None else [origin(self.more_labels)])

    def _merged(self, first: LabelledQuestion, second: LabelledQuestion) -> AnsweredQuestion:
        question, policy = first.question, first.policy or second.policy
        relevance = first.relevance or second.relevance
        relevant = None if relevance is None else relevance.relevant
        if relevant is not None and not 0 < sum(relevant) <= self.max_relevant_share * len(relevant):
            relevant = None
        assert question.answer is not None
        options = tuple(question.options) if question.options else None
        return AnsweredQuestion(
            question.question, options, question.answer, policy.policy if policy else None, relevant
        )


def video_answers(
    shards: ShardDataset, answered: Mapping[tuple[int, int], AnsweredQuestion], item: Item
) -> VideoAnswers:
    """Some of a sample's questions. Raises `ShardError`."""
    sample = shards[item.sample]
    return VideoAnswers(sample.key, sample, [answered[item.sample, number] for number in item.questions])


def _by_id(shards: ShardDataset) -> dict[str, LabelledQuestion]:
    return {labelled.question.id: labelled for index in range(len(shards)) for labelled in shards.labels(index)}


def _counts(answered: AnsweredQuestion) -> Counts:
    relevant = answered.relevant or []
    return Counts(
        questions=1,
        relevant=sum(relevant),
        irrelevant=len(relevant) - sum(relevant),
        policies=int(answered.policy is not None),
    )
