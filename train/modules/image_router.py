"""Stage 1: the Image Router learns frame relevance by binary cross-entropy (paper section 4)."""

import zlib
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from videorouter.routers.backbones.temporal import merged_any
from videorouter.routers.checkpoints.trained_file import RECORD
from videorouter.routers.routing.pooling import pool_frames
from videorouter.routers.routing.routers import ImageRouter, mean_without_sinks
from videorouter.train.data.feeding import Feeding
from videorouter.train.data.frame_relevance import VideoRelevance
from videorouter.train.data.steps import Microbatch
from videorouter.train.modules.base import RouterModule
from videorouter.train.validation.relevance_validation import RelevanceValidation, relevance_loss


class ImageRouterModule(RouterModule):
    """Scores every frame of a video for each of its questions."""

    stage: ClassVar[str] = "image"
    head_name: ClassVar[str] = "image"
    router: ImageRouter

    def __init__(
        self,
        base: str,
        inputs: Literal["frame_and_question", "question"] = "frame_and_question",
        feature_noise: float = 0.0,
        router_scale: int = 1,
        recall_wanted: float = 0.95,
        **options: Any,
    ) -> None:
        """See `RouterModule` for `options`.

        Args:
            base: checkpoint folder or Hub id of the base model
            inputs: `question` withholds the frames: the control that must not beat chance within a question
            feature_noise: Gaussian noise on the features while training, in units of each feature's deviation; a head
                that learned with it scores a frame alike before and after JPEG
            router_scale: frames are pooled by this compression scale before the router reads them, here and at run time
            recall_wanted: the exported threshold is the highest at which so large a share of validation evidence is found
            **options: of `RouterModule`
        """
        super().__init__(base, **options)
        self.inputs, self.router_scale = inputs, router_scale
        self.feature_noise, self.recall_wanted = feature_noise, recall_wanted
        self.threshold: float | None = None
        self.use(ImageRouter)
        self.validation = RelevanceValidation()

    def setup(self, stage: str) -> None:
        super().setup(stage)
        if self._trainer is not None:
            self._data().feed(Feeding(self.fed_size, self._wants_frames))

    def losses(self, batch: Microbatch[VideoRelevance]) -> dict[str, tuple[float, Tensor]]:
        logits, labels = self._logits(batch.items)
        return {"loss": (1.0, relevance_loss(logits, labels, batch.of_step))}

    def validation_step(self, batch: Microbatch[VideoRelevance], batch_idx: int) -> None:
        logits, labels = self._logits(batch.items)
        if not batch.repeated:
            self.validation.update(logits, labels)

    def validates(self) -> list[str]:
        return [f"image_{name}" for name in RelevanceValidation.NAMES]

    def on_validation_epoch_end(self) -> None:
        found = self.validation.results(self.recall_wanted)
        for name, value in found.items():
            self.measured(f"val/image_{name}", value, prog_bar=name == "auroc")
        if not self.trainer.sanity_checking:
            self.threshold = found["threshold"]

    def batch_features(self, batch: Microbatch[VideoRelevance]) -> Tensor:
        return torch.cat([self._features(item) for item in batch.items]).flatten(0, 1)

    def record(self) -> dict[str, Any]:
        """`threshold` is None before the first validation."""
        told = {"threshold": self.threshold, "routing": {"router_scale": self.router_scale}, "inputs": self.inputs}
        return super().record() | told

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self.threshold = checkpoint[RECORD]["threshold"]

    def _logits(self, items: Sequence[VideoRelevance]) -> tuple[Tensor, Tensor]:
        """Logits and labels `[pairs, T]` of all (video, question) pairs; every video of a data set has T frames."""
        features = torch.cat([self._features(item) for item in items])
        if self.training and self.feature_noise:
            noise = torch.cat([self._noise(item, features.shape[1:]) for item in items]).to(features)
            features = features + self.feature_noise * self.router.head.standardise.deviation * noise
        merged = self.backbone.frames_per_patch
        rows = [merged_any(row, merged) for item in items for row in item.relevant]
        return self.router.head(features), torch.tensor(rows, device=self.device)

    def _noise(self, item: VideoRelevance, shape: torch.Size) -> Tensor:
        """`[Q, T, 2D]`, a function of (seed, epoch, video, question): the same whoever computes it, also after a resume."""
        rows = []
        for question in item.asked:
            drawn_for = f"{self.noise_seed} {self.current_epoch} {item.key} {question}"
            rows.append(torch.randn(shape, generator=torch.Generator().manual_seed(zlib.crc32(drawn_for.encode()))))
        return torch.stack(rows)

    def features_follow_from(self) -> dict[str, Any]:
        return super().features_follow_from() | {"inputs": self.inputs, "router_scale": self.router_scale}

    def _wants_frames(self, item: VideoRelevance) -> bool:
        """Whether a video's frames will be encoded: not where its features are stored, or frames are withheld."""
        return self.inputs != "question" and not self.cache.known([(item.key, question) for question in item.asked])

    def _features(self, item: VideoRelevance) -> Tensor:
        """`[Q, T, 2D]` features of one video's questions."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.below.own):
            return self._features_of(item)

    def _features_of(self, item: VideoRelevance) -> Tensor:
        keys = [(item.key, question) for question in item.asked]
        known = self.cached(keys)
        if known is not None:
            return known
        questions = [self.backbone.embed_text(question) for question in item.asked]
        if self.inputs == "question":
            means = torch.stack([mean_without_sinks(self.router.shadow.text(q.unsqueeze(0)))[0] for q in questions])
            features = torch.cat([torch.zeros_like(means), means], -1).float()
            features = features.unsqueeze(1).repeat(1, -(-len(item.relevant[0]) // self.backbone.frames_per_patch), 1)
        else:
            grid = self.backbone.grid_of(*item.stored)
            tokens = self.backbone.encode_frames(item.frames(), grid=grid)[..., : self.backbone.hidden_size]
            pooled = pool_frames(tokens, self.router_scale, grid)
            features = self.router.features(pooled, questions)
            if self.costs is not None:
                asked = self.costs.relevance(len(pooled), pooled.shape[1], [len(question) for question in questions])
                self.spent += self.costs.frames(len(tokens), self.backbone.size_of(grid)) + asked
        self.cache.keep(keys, features)
        return features
