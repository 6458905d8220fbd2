"""What training a router head over a frozen base has in common: frozen features, their moments, their cache."""

from abc import abstractmethod
from collections.abc import Hashable, Iterator, Sequence
from itertools import islice
from typing import Any, ClassVar

import torch
from rich.progress import track
from torch import Tensor, nn

from routers.backbones import load_backbone
from train.data.steps import Microbatch
from train.flops import ModelFlops
from train.modules.trained import TrainedModule


class RouterModule(TrainedModule):
    """Trains `self.router.head` on features of the frozen shadow stack.

    Of the base only vision tower, projector, embeddings and the first k layers are read. Features of a frozen stack never
    change: with `cache_features` each is computed once and kept in host memory (2 * D or D floats a row), later epochs cost the
    head alone. A pass over the training data, before step 1, gathers the feature moments that the head standardises by (ours;
    design notes in docs/design.md).
    """

    head_name: ClassVar[str]
    router: nn.Module

    def __init__(
        self,
        base: str,
        shadow_layers: int = 4,
        hidden: int = 1024,
        learning_rate: float = 5e-5,
        weight_decay: float = 0.05,
        warmup_share: float = 0.03,
        cache_features: bool = False,
        moment_batches: int | None = None,
        frames: int = 64,
        sampler: str = "segment_midpoint",
        budget: int = 12_288,
    ) -> None:
        """Load the frozen base.

        Args:
            base: checkpoint folder or Hub id of the base model
            shadow_layers: k, the first decoder layers, which the routers read
            hidden: width of the head
            learning_rate: peak rate of AdamW
            weight_decay: of AdamW
            warmup_share: share of all optimizer steps spent warming up; cosine decay to 0 afterwards
            cache_features: keep frozen features in host memory after their first computation
            moment_batches: batches, over all ranks, from which feature moments are gathered; all of an epoch where not given
            frames: frames sampled a video at run time, stored in the export
            sampler: frame sampler at run time, stored in the export
            budget: visual tokens at run time, stored in the export
        """
        super().__init__(base, learning_rate, weight_decay, warmup_share)
        self.backbone = load_backbone(base, early_layers=shadow_layers, revision=self.base.revision)
        self.shadow_layers, self.hidden = shadow_layers, hidden
        self.costs = ModelFlops.of(self.backbone.model.config, shadow_layers)  # type: ignore[attr-defined]
        self.cache_features, self.moment_batches = cache_features, moment_batches
        self.runtime = {"frames": frames, "sampler": sampler, "budget": budget}
        self._cache: dict[Hashable, Tensor] = {}
        self._moments_known = False

    @abstractmethod
    def batch_features(self, batch: Microbatch[Any]) -> Tensor:
        """Rows of frozen features `[N, F]` of one batch, for the moments; `[0, F]` where it holds none."""

    def setup(self, stage: str) -> None:
        self.backbone.to(self.device)
        self.router.to(self.device)

    def use(self, router: nn.Module) -> None:
        """Train the head of `router`; the frozen layers under it are no part of this module."""
        self.beside("router", router)
        self.head = router.head

    def on_train_start(self) -> None:
        super().on_train_start()
        if not self._moments_known:
            self._gather_moments()

    def trained_tensors(self) -> dict[str, Tensor]:
        head: Any = self.router.head
        tensors = {**dict(head.named_parameters()), **dict(head.named_buffers())}
        return {f"{self.head_name}.{name}": tensor for name, tensor in tensors.items()}

    def record(self) -> dict[str, Any]:
        return {"heads": [self.head_name], "shadow_layers": self.shadow_layers, "hidden": self.hidden, **self.runtime}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self._moments_known = True

    def cached(self, keys: Sequence[Hashable]) -> list[Tensor] | None:
        """Features stored under all `keys`, or None where one is missing."""
        if not all(key in self._cache for key in keys):
            return None
        return [self._cache[key].to(self.device) for key in keys]

    def remember(self, keys: Sequence[Hashable], features: Tensor) -> None:
        """Keep `features` (first dimension as `keys`) when caching is on."""
        if self.cache_features:
            self._cache.update(zip(keys, features.cpu(), strict=True))

    @torch.no_grad()
    def _gather_moments(self) -> None:
        loader: Any = self.trainer.train_dataloader
        batches: Iterator[Microbatch[Any]] = loader.pass_over()
        wanted = len(loader)
        if self.moment_batches is not None:
            wanted = min(wanted, -(-self.moment_batches // self.trainer.world_size))
        count, total, squares = torch.zeros((), dtype=torch.float64), torch.zeros(()), torch.zeros(())
        for batch in track(
            islice(batches, wanted),
            "feature moments",
            total=wanted,
            disable=not self.trainer.is_global_zero,
            transient=True,
        ):
            rows = self.batch_features(batch).double().cpu()
            count, total, squares = count + len(rows), total + rows.sum(0), squares + (rows**2).sum(0)
        sums = [
            self.trainer.strategy.reduce(value.to(self.device), reduce_op="sum") for value in (count, total, squares)
        ]
        self.router.head.standardise.fit(*sums)  # type: ignore[union-attr, operator]
        self._moments_known = True
