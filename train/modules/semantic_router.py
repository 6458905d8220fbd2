"""Stage 2: the Semantic Router learns the allocation policy from the question by cross-entropy (paper section 4)."""

from collections.abc import Sequence
from random import Random
from typing import Any, ClassVar, Final

import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics import MeanMetric, MetricCollection

from routers.scoring import POLICIES, SemanticRouter
from train.data.question_policy import QuestionPolicy
from train.modules.base import RouterModule
from train.word_noise import words_of, worn

WORN_WAYS: Final = 12
"""Ways in which each question is worn; with cached features, later epochs cost the head alone."""


class SemanticRouterModule(RouterModule):
    """Classifies questions; a batch is a list of `QuestionPolicy`. Frames are never read."""

    head_name: ClassVar[str] = "semantic"
    router: SemanticRouter

    def __init__(self, base: str, learning_rate: float = 1e-5, word_noise: float = 0.0, **options: Any):
        """See `RouterModule` for `options`.

        Args:
            base: checkpoint folder or Hub id of the base model
            learning_rate: peak rate of AdamW
            word_noise: share of words left out of a question while training (`train.word_noise`)
            **options: of `RouterModule`
        """
        super().__init__(base, learning_rate=learning_rate, **options)
        shadow = self.backbone.shadow_stack(self.shadow_layers).requires_grad_(False)
        self.router = SemanticRouter(shadow, self.backbone.hidden_size, self.hidden)
        self.word_noise = word_noise
        self.validation = MetricCollection({name: MeanMetric() for name in ("loss", "accuracy")}, compute_groups=False)

    def training_step(self, batch: Sequence[QuestionPolicy], batch_idx: int) -> Tensor:
        labels = self._labels(batch)
        features = self._worn_features(batch) if self.word_noise else self.batch_features(batch)
        loss = functional.cross_entropy(self.router.head(features), labels)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch))
        return loss

    def validation_step(self, batch: Sequence[QuestionPolicy], batch_idx: int) -> None:
        logits, labels = self.router.head(self.batch_features(batch)), self._labels(batch)
        self.validation["loss"].update(functional.cross_entropy(logits, labels), len(logits))
        self.validation["accuracy"].update((logits.argmax(-1) == labels).float())

    def on_validation_epoch_end(self) -> None:
        for name, metric in self.validation.items():
            self.log(f"val/semantic_{name}", metric.compute(), prog_bar=name == "accuracy")
            metric.reset()

    @torch.no_grad()
    def batch_features(self, batch: Sequence[QuestionPolicy]) -> Tensor:
        """`[Q, D]` frozen features of the questions."""
        keys = [item.question for item in batch]
        known = self.cached(keys)
        if known is not None:
            return torch.stack(known)
        features = self.router.features([self.backbone.embed_text(item.question) for item in batch])
        self.remember(keys, features)
        return features

    @torch.no_grad()
    def _worn_features(self, batch: Sequence[QuestionPolicy]) -> Tensor:
        """The same of worn questions, worn anew in each of `WORN_WAYS` epochs; words are put in from the batch."""
        way = self.current_epoch % WORN_WAYS
        keys = [(item.question, way) for item in batch]
        known = self.cached(keys)
        if known is not None:
            return torch.stack(known)
        words = words_of([item.question for item in batch])
        texts = [worn(Random(f"{item.question} {way}"), item.question, self.word_noise, words) for item in batch]
        features = self.router.features([self.backbone.embed_text(text) for text in texts])
        self.remember(keys, features)
        return features

    def _labels(self, batch: Sequence[QuestionPolicy]) -> Tensor:
        return torch.tensor([POLICIES.index(item.policy) for item in batch], device=self.device)
