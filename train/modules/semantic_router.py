"""Stage 2: the Semantic Router learns the allocation policy from the question by cross-entropy (paper section 4)."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics import MeanMetric, MetricCollection

from routers.scoring import POLICIES, SemanticRouter
from train.data.question_policy import QuestionPolicy
from train.modules.base import RouterModule


class SemanticRouterModule(RouterModule):
    """Classifies questions; a batch is a list of `QuestionPolicy`. Frames are never read."""

    head_name: ClassVar[str] = "semantic"
    router: SemanticRouter

    def __init__(self, base: str, learning_rate: float = 1e-5, **options: Any):
        """See `RouterModule` for `options`.

        Args:
            base: checkpoint folder or Hub id of the base model
            learning_rate: peak rate of AdamW
            **options: of `RouterModule`
        """
        super().__init__(base, learning_rate=learning_rate, **options)
        shadow = self.backbone.shadow_stack(self.shadow_layers).requires_grad_(False)
        self.router = SemanticRouter(shadow, self.backbone.hidden_size, self.hidden)
        self.validation = MetricCollection({name: MeanMetric() for name in ("loss", "accuracy")}, compute_groups=False)

    def training_step(self, batch: Sequence[QuestionPolicy], batch_idx: int) -> Tensor:
        logits, labels = self._logits(batch)
        loss = functional.cross_entropy(logits, labels)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(logits))
        return loss

    def validation_step(self, batch: Sequence[QuestionPolicy], batch_idx: int) -> None:
        logits, labels = self._logits(batch)
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

    def _logits(self, batch: Sequence[QuestionPolicy]) -> tuple[Tensor, Tensor]:
        labels = torch.tensor([POLICIES.index(item.policy) for item in batch], device=self.device)
        return self.router.head(self.batch_features(batch)), labels
