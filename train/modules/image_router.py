"""Stage 1: the Image Router learns frame relevance by binary cross-entropy (paper section 4)."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics import MeanMetric, MetricCollection

from routers.backbones import merged_any
from routers.heads import mean_without_sinks
from routers.metrics import auroc_within_question
from routers.scoring import ImageRouter
from train.data.frame_relevance import VideoRelevance
from train.modules.base import RouterModule

MAX_POSITIVE_WEIGHT = 5.0


class ImageRouterModule(RouterModule):
    """Scores every frame of a video for each of its questions; a batch is a list of `VideoRelevance`."""

    head_name: ClassVar[str] = "image"
    router: ImageRouter

    def __init__(
        self,
        base: str,
        inputs: Literal["frame_and_question", "question"] = "frame_and_question",
        feature_noise: float = 0.0,
        **options: Any,
    ) -> None:
        """See `RouterModule` for `options`.

        Args:
            base: checkpoint folder or Hub id of the base model
            inputs: `question` withholds the frames: the control that must not beat chance within a question
            feature_noise: Gaussian noise on the features while training, in units of each feature's deviation; a head
                that learned with it scores a frame alike before and after JPEG
            **options: of `RouterModule`
        """
        super().__init__(base, **options)
        self.inputs = inputs
        self.feature_noise = feature_noise
        shadow = self.backbone.shadow_stack(self.shadow_layers).requires_grad_(False)
        self.router = ImageRouter(shadow, self.backbone.hidden_size, self.hidden)
        self.validation = MetricCollection(
            {name: MeanMetric() for name in ("loss", "auroc", "accuracy", "recall")}, compute_groups=False
        )

    def training_step(self, batch: Sequence[VideoRelevance], batch_idx: int) -> Tensor:
        logits, labels = self._logits(batch)
        loss = self._loss(logits, labels)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(logits))
        return loss

    def validation_step(self, batch: Sequence[VideoRelevance], batch_idx: int) -> None:
        logits, labels = self._logits(batch)
        self.validation["loss"].update(self._loss(logits, labels), len(logits))
        predicted = logits > 0
        self.validation["accuracy"].update((predicted == labels).float())
        for row_logits, row_predicted, row_labels in zip(logits, predicted, labels, strict=True):
            area = auroc_within_question(row_logits, row_labels)
            if area is not None:
                self.validation["auroc"].update(area)
                self.validation["recall"].update(row_predicted[row_labels].float())

    def on_validation_epoch_end(self) -> None:
        for name, metric in self.validation.items():
            self.log(f"val/image_{name}", metric.compute(), prog_bar=name == "auroc")
            metric.reset()

    def batch_features(self, batch: Sequence[VideoRelevance]) -> Tensor:
        return torch.cat([self._features(item) for item in batch]).flatten(0, 1)

    def _logits(self, batch: Sequence[VideoRelevance]) -> tuple[Tensor, Tensor]:
        """Logits and labels `[pairs, T]` of all (video, question) pairs; every video of a data set has T frames."""
        features = torch.cat([self._features(item) for item in batch])
        if self.training and self.feature_noise:
            deviation = self.router.head.standardise.deviation
            features = features + self.feature_noise * deviation * torch.randn_like(features)
        merged = self.backbone.frames_per_patch
        rows = [merged_any(row, merged) for item in batch for row in item.relevant]
        labels = torch.tensor(rows, device=self.device)
        return self.router.head(features), labels

    @torch.no_grad()
    def _features(self, item: VideoRelevance) -> Tensor:
        """`[Q, T, 2D]` frozen features of one video's questions."""
        keys = [(item.key, question) for question in item.questions]
        known = self.cached(keys)
        if known is not None:
            return torch.stack(known)
        questions = [self.backbone.embed_text(question) for question in item.questions]
        if self.inputs == "question":
            means = torch.stack([mean_without_sinks(self.router.shadow.text(q.unsqueeze(0)))[0] for q in questions])
            features = torch.cat([torch.zeros_like(means), means], -1).float()
            features = features.unsqueeze(1).repeat(1, -(-len(item.relevant[0]) // self.backbone.frames_per_patch), 1)
        else:
            tokens = self.backbone.encode_frames(item.frames())
            features = self.router.features(tokens[..., : self.backbone.hidden_size], questions)
        self.remember(keys, features)
        return features

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """BCE with `pos_weight = min(5, sqrt(neg / pos))` (ours), counts and denominator over all ranks' batches."""
        counts = torch.stack([labels.sum(), (~labels).sum()]).float()
        counts = self.trainer.strategy.reduce(counts, reduce_op="sum")
        positive, negative = counts
        weight = (negative / positive.clamp_min(1)).sqrt().clamp_max(MAX_POSITIVE_WEIGHT)
        total = functional.binary_cross_entropy_with_logits(
            logits, labels.to(logits.dtype), pos_weight=weight, reduction="sum"
        )
        return total * self.trainer.world_size / counts.sum()
