"""What training a router head over a frozen base has in common: optimizer, feature moments, feature cache, checkpoints."""

from abc import abstractmethod
from collections.abc import Hashable, Sequence
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from rich.progress import track
from torch import Tensor, nn

from routers.backbones import load_backbone
from routers.checkpoint import weights_hash
from routers.export import RECORD
from train.schedule import warmup_cosine


class RouterModule(pl.LightningModule):
    """Trains `self.router.head` on features of the frozen shadow stack.

    Features of a frozen stack never change: with `cache_features` each is computed once and kept in host memory
    (2 * D or D floats a row), later epochs cost the head alone. The first pass over the training data, before step 1,
    gathers the feature moments that the head standardises by (ours; design notes in docs/design.md).
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
        frames: int = 64,
        sampler: str = "segment_midpoint",
        budget: int = 12_288,
    ) -> None:
        """Load the frozen base.

        Args:
            base: checkpoint folder or Hub id of the base model
            shadow_layers: k, the decoder layers copied for the routers
            hidden: width of the head
            learning_rate: peak rate of AdamW
            weight_decay: of AdamW
            warmup_share: share of all optimizer steps spent warming up; cosine decay to 0 afterwards
            cache_features: keep frozen features in host memory after their first computation
            frames: frames sampled a video at run time, stored in the export
            sampler: frame sampler at run time, stored in the export
            budget: visual tokens at run time, stored in the export
        """
        super().__init__()
        self.save_hyperparameters()
        self.strict_loading = False
        self.base = base
        self.base_hash = weights_hash(base)
        self.backbone = load_backbone(base)
        self.shadow_layers, self.hidden = shadow_layers, hidden
        self.learning_rate, self.weight_decay, self.warmup_share = learning_rate, weight_decay, warmup_share
        self.cache_features = cache_features
        self.runtime = {"frames": frames, "sampler": sampler, "budget": budget}
        self._cache: dict[Hashable, Tensor] = {}
        self._moments_known = False

    @abstractmethod
    def batch_features(self, batch: Any) -> Tensor:
        """Rows of frozen features `[N, F]` of one batch, for the moments; `[0, F]` where it holds none."""

    def setup(self, stage: str) -> None:
        self.backbone.to(self.device)

    def on_train_start(self) -> None:
        if not self._moments_known:
            self._gather_moments()

    def configure_optimizers(self) -> Any:
        trainable = [parameter for parameter in self.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(trainable, lr=self.learning_rate, weight_decay=self.weight_decay)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = warmup_cosine(optimizer, steps, self.warmup_share)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        return (
            batch  # samples hold JPEG bytes and labels; tensors made of them are put on the device where they are made
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        head = self.router.head
        assert isinstance(head, nn.Module)
        checkpoint["state_dict"] = {f"{self.head_name}.{key}": value for key, value in head.state_dict().items()}
        checkpoint[RECORD] = {
            "head": self.head_name,
            "base": {"path": self.base, "sha256": self.base_hash, "revision": None},
            "shadow_layers": self.shadow_layers,
            "hidden": self.hidden,
            "metrics": {
                name: float(value) for name, value in self.trainer.callback_metrics.items() if name.startswith("val/")
            },
            **self.runtime,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        trained_on = checkpoint[RECORD]["base"]["sha256"]
        if trained_on != self.base_hash:
            raise ValueError(
                f"the checkpoint was trained on base {trained_on[:12]}, {self.base} has hash {self.base_hash[:12]}: "
                "resume with the base it was started with"
            )
        checkpoint["state_dict"] = {
            key.replace(f"{self.head_name}.", "router.head.", 1): value
            for key, value in checkpoint["state_dict"].items()
        }
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
        count, total, squares = torch.zeros((), dtype=torch.float64), torch.zeros(()), torch.zeros(())
        batches = loader.pass_over()
        for batch in track(
            batches, "feature moments", total=len(loader), disable=not self.trainer.is_global_zero, transient=True
        ):
            rows = self.batch_features(batch).double().cpu()
            count, total, squares = count + len(rows), total + rows.sum(0), squares + (rows**2).sum(0)
        sums = [
            self.trainer.strategy.reduce(value.to(self.device), reduce_op="sum") for value in (count, total, squares)
        ]
        self.router.head.standardise.fit(*sums)  # type: ignore[union-attr, operator]
        self._moments_known = True
