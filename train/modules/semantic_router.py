"""Stage 2: the Semantic Router learns the allocation policy from the question by cross-entropy (paper section 4)."""

from collections.abc import Sequence
from random import Random
from typing import Any, ClassVar, Final

import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics import MeanMetric, MetricCollection

from videorouter.routers.routing.routers import SemanticRouter
from videorouter.shards.policy import POLICIES
from videorouter.train.data.question_policy import QuestionPolicy
from videorouter.train.data.steps import Counts, Microbatch
from videorouter.train.data.word_noise import with_word_noise
from videorouter.train.modules.base import RouterModule

NOISE_WAYS: Final = 12
"""Versions with word noise of each question; with cached features, later epochs cost the head alone."""


def policy_loss(logits: Tensor, labels: Tensor, of_step: Counts) -> Tensor:
    """These questions' part of the step's mean cross-entropy; logits `[Q, 2]`, labels int64 `[Q]`."""
    return functional.cross_entropy(logits.float(), labels, reduction="sum") / max(1, of_step.policies)


class SemanticRouterModule(RouterModule):
    """Classifies questions. Frames are never read."""

    stage: ClassVar[str] = "semantic"
    head_name: ClassVar[str] = "semantic"
    router: SemanticRouter

    def __init__(self, base: str, learning_rate: float = 1e-5, word_noise: float = 0.0, **options: Any):
        """See `RouterModule` for `options`.

        Args:
            base: checkpoint folder or Hub id of the base model
            learning_rate: peak rate of AdamW
            word_noise: share of words left out of a question while training (`videorouter.train.data.word_noise`)
            **options: of `RouterModule`
        """
        super().__init__(base, learning_rate=learning_rate, **options)
        self.use(SemanticRouter)
        self.word_noise = word_noise
        self.validation = MetricCollection({name: MeanMetric() for name in ("loss", "accuracy")}, compute_groups=False)

    def losses(self, batch: Microbatch[QuestionPolicy]) -> dict[str, tuple[float, Tensor]]:
        features = self._worn_features(batch.items) if self.word_noise else self.batch_features(batch)
        return {"loss": (1.0, policy_loss(self.router.head(features), self._labels(batch.items), batch.of_step))}

    def validation_step(self, batch: Microbatch[QuestionPolicy], batch_idx: int) -> None:
        logits, labels = self.router.head(self.batch_features(batch)), self._labels(batch.items)
        if batch.repeated:
            return
        self.validation["loss"].update(policy_loss(logits, labels, Counts(policies=len(labels))), len(logits))
        self.validation["accuracy"].update((logits.argmax(-1) == labels).float())

    def validates(self) -> list[str]:
        return [f"semantic_{name}" for name in self.validation]

    def on_validation_epoch_end(self) -> None:
        for name, metric in self.validation.items():
            self.measured(f"val/semantic_{name}", metric.compute(), prog_bar=name == "accuracy")
            metric.reset()

    def batch_features(self, batch: Microbatch[QuestionPolicy]) -> Tensor:
        """`[Q, D]` features of the questions."""
        return self._of_texts([item.question for item in batch.items], [item.question for item in batch.items])

    def _worn_features(self, items: Sequence[QuestionPolicy]) -> Tensor:
        """The same with word noise, drawn anew in each of `NOISE_WAYS` epochs; words are put in from all training questions."""
        way, words = self.current_epoch % NOISE_WAYS, self.trainer.datamodule.words  # type: ignore[attr-defined]
        texts = [
            with_word_noise(Random(f"{item.question} {way}"), item.question, self.word_noise, words) for item in items
        ]
        return self._of_texts([(item.question, way) for item in items], texts)

    def features_follow_from(self) -> dict[str, Any]:
        return super().features_follow_from() | {"word_noise": self.word_noise}

    def _of_texts(self, keys: Sequence[Any], texts: Sequence[str]) -> Tensor:
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.below.own):
            return self._features_of(keys, texts)

    def _features_of(self, keys: Sequence[Any], texts: Sequence[str]) -> Tensor:
        known = self.cached(keys)
        if known is not None:
            return known
        questions = [self.backbone.embed_text(text) for text in texts]
        features = self.router.features(questions)
        if self.costs is not None:
            self.spent += self.costs.policies([len(question) for question in questions])
        self.cache.keep(keys, features)
        return features

    def _labels(self, items: Sequence[QuestionPolicy]) -> Tensor:
        return torch.tensor([POLICIES.index(item.policy) for item in items], device=self.device)
