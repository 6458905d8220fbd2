"""What training a router over a frozen base has in common: features, their moments, their cache."""

import logging
import time
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import torch
from rich.progress import track
from torch import Tensor

from videorouter.routers.backbones.frame_shape import Aspect, FrameShape
from videorouter.routers.backbones.loading import load_backbone
from videorouter.routers.backbones.loading_options import FrameLabel, Loading, PromptOptions
from videorouter.routers.backbones.shadow import ShadowMode, ShadowWeights
from videorouter.routers.checkpoints.router_folder import router_shadow, router_tensors
from videorouter.routers.routing.allocation import Scales
from videorouter.routers.routing.routers import ImageRouter, SemanticRouter
from videorouter.train.data.steps import Microbatch
from videorouter.train.logs.throughput import ModelFlops
from videorouter.train.modules.feature_cache import DiskCache, FeatureCache, Key, MemoryCache
from videorouter.train.modules.trained import Compiler, TrainedModule, compile_layers
from videorouter.train.optimizing.strategies import ZeroStrategy

_log = logging.getLogger(__name__)


class RouterModule(TrainedModule):
    """Trains `self.router.head` on features of the shadow stack, which is frozen unless `shadow` says otherwise.

    Of the base only vision tower, projector, embeddings and the first k layers are read. Features of a frozen stack never
    change: with `cache_features` each is computed once and kept in host memory (2 * D or D floats a row), later epochs cost the
    head alone. A pass over the training data, before step 1, gathers the feature moments that the head standardises by (ours;
    design notes in docs/design.md).
    """

    head_name: ClassVar[str]
    router: SemanticRouter | ImageRouter

    def __init__(
        self,
        base: str,
        shadow_layers: int = 4,
        hidden: int = 1024,
        learning_rate: float = 5e-5,
        weight_decay: float = 0.05,
        warmup_share: float = 0.03,
        shadow: ShadowMode = "frozen",
        shadow_rank: int = 8,
        compile: Compiler | None = None,
        cache_features: bool = False,
        feature_folder: str | None = None,
        moment_batches: int | None = None,
        frames: int | None = None,
        sampler: str | None = None,
        budget: int = 12_288,
        scales: Scales | None = None,
        frame_label: FrameLabel | None = None,
        system_prompt: str | None = None,
        accept_base: bool = False,
        decay_norms_and_biases: bool = False,
        aspect: Aspect = "square",
        frame_size: int | None = None,
        min_pixels: int | None = None,
        max_pixels: int | None = None,
    ) -> None:
        """Load the frozen base.

        Args:
            base: checkpoint folder or Hub id of the base model
            shadow_layers: k, the first decoder layers, which the routers read
            hidden: width of the head
            learning_rate: peak rate of AdamW
            weight_decay: of AdamW, on matrices
            warmup_share: share of all optimizer steps spent warming up; cosine decay to 0 afterwards
            shadow: what learns below the head: nothing, low-rank adapters on the k layers, or a copy of the layers
            shadow_rank: of these adapters
            compile: these layers by torch.compile's backend of that name
            cache_features: keep frozen features after their first computation, in host memory
            feature_folder: keep them in this folder instead, for all ranks and later trainings on the same base and shards
            moment_batches: batches, over all ranks, from which feature moments are gathered before step 1; all of an epoch, which
                costs its forward passes once more, where not given
            frames: frames sampled a video at run time, stored in the export; as many as the shards hold where null
            sampler: frame sampler at run time, stored in the export; the shards' where null
            budget: visual tokens at run time, stored in the export
            scales: compression scales at run time, stored in the export; 2 for global, 1 and 4 for fragment, where null
            frame_label: what stands before InternVL's frames at run time, with a colon, stored in the export
            system_prompt: what the system says at run time before the user, stored in the export
            accept_base: resume with another base than the training was started with, and say what differs
            decay_norms_and_biases: let weight decay reach norms and biases too
            aspect: `own` for Qwen-VL on shards whose frames keep their aspect ratio; the export says so
            frame_size: side in pixels of the square to which Qwen-VL's frames are squeezed; 448 where null
            min_pixels: fewest pixels of a frame under `own`; the checkpoint's where null
            max_pixels: most pixels of a frame under `own`; the checkpoint's where null
        """
        super().__init__(
            base,
            learning_rate,
            weight_decay,
            warmup_share,
            decay_norms_and_biases=decay_norms_and_biases,
            accept_base=accept_base,
        )
        self.below = ShadowWeights(shadow, shadow_rank)
        if self.below.own and (cache_features or feature_folder):
            raise ValueError(
                f"features change while the shadow learns: shadow {shadow!r} goes without cache_features and feature_folder"
            )
        self.compiler = compile
        shape = FrameShape(aspect, frame_size, min_pixels, max_pixels)
        self.prompt = PromptOptions(frame_label, system_prompt)
        loading: Loading = {**self.prompt.loading(), "device": "cpu", "revision": self.base.revision}
        loading["early_layers"] = shadow_layers
        self.backbone = load_backbone(base, shape=shape, **loading)
        self.shadow_layers, self.hidden = shadow_layers, hidden
        self.costs = ModelFlops.of(self.backbone.model.config, shadow_layers)  # type: ignore[attr-defined]
        self.feature_folder, self.moment_batches = feature_folder, moment_batches
        self.cache: FeatureCache = MemoryCache() if cache_features else FeatureCache()
        self.frames, self.sampler, self.budget, self.scales = frames, sampler, budget, scales or Scales()
        self._moments_known = False

    @abstractmethod
    def batch_features(self, batch: Microbatch[Any]) -> Tensor:
        """Rows of frozen features `[N, F]` of one batch, for the moments; `[0, F]` where it holds none."""

    def setup(self, stage: str) -> None:
        strategy: Any = self._trainer and self._trainer.strategy
        zero = isinstance(strategy, ZeroStrategy)
        if self.below.own and zero and strategy.config["zero_optimization"]["stage"] == 3:
            raise ValueError(
                f"shadow {self.below.mode!r} under deepspeed_3: ranks run these layers unequally often, and it gathers them each "
                "time; a few layers need no sharing, take ddp or deepspeed_2"
            )
        if self._trainer is not None:
            self._data().check_shape(self.backbone.shape)
            self.frames, self.sampler = self._data().sampling(self.frames, self.sampler)
            if self.feature_folder is not None:
                self.cache = DiskCache(Path(self.feature_folder), self.features_follow_from())
        self.backbone.to(self.device)
        self.router.to(self.device)
        if self.below.mode == "full" and not zero:  # bfloat16 swallows small steps; ZeRO keeps masters of its own
            self.router.shadow.float()

    def use(self, router_class: Any) -> None:
        """Train the head of such a router and, where they learn, the layers below it; what is frozen is no part of this module."""
        shadow = router_shadow(self.backbone, self.shadow_layers, self.below)
        compile_layers(shadow.stack.layers, self.compiler)
        router = router_class(shadow, self.backbone.hidden_size, self.hidden)
        self.beside("router", router)
        self.head = router.head
        if self.below.own:
            self.layers = shadow.stack.layers
            for tensor in self.below.tensors(shadow).values():
                tensor.requires_grad_(True)

    def on_train_start(self) -> None:
        super().on_train_start()
        if not self._moments_known:
            self._gather_moments()

    def trained_tensors(self) -> dict[str, Tensor]:
        return router_tensors(self.head_name, self.router, self.below)

    def record(self) -> dict[str, Any]:
        told = {
            "shadow_layers": self.shadow_layers,
            "hidden": self.hidden,
            "shadows": {self.head_name: vars(self.below)},
            "shape": vars(self.backbone.shape),
            "frames": self.frames,
            "sampler": self.sampler,
            "budget": self.budget,
            "scales": vars(self.scales),
            "prompt": vars(self.prompt),
        }
        return {"heads": [self.head_name], **told}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self._moments_known = True

    def start_from(self, paths: Sequence[Path]) -> None:
        """As of every module; feature moments come with the head that learned with them."""
        super().start_from(paths)
        self._moments_known = True

    def features_follow_from(self) -> dict[str, Any]:
        """All that frozen features follow from, beside the sample and the question."""
        return {
            "base": self.base.sha256,
            "shards": self._data().fingerprint,
            "layers": self.shadow_layers,
            "shape": vars(self.backbone.shape),
            "dtype": str(self.backbone.model.dtype),  # type: ignore[attr-defined]
            "head": self.head_name,
        }

    def cached(self, keys: Sequence[Key]) -> Tensor | None:
        """Features kept under all `keys`, or None where one is missing."""
        known = self.cache.read(keys)
        return None if known is None else torch.stack(known).to(self.device)

    def on_train_epoch_start(self) -> None:
        """Before workers are told which videos' frames are wanted."""
        self.cache.refresh()

    @torch.no_grad()
    def _gather_moments(self) -> None:
        loader: Any = self.trainer.train_dataloader
        batches: Iterator[Microbatch[Any]] = loader.pass_over()
        wanted = len(loader)
        if self.moment_batches is not None:
            wanted = min(wanted, -(-self.moment_batches // self.trainer.world_size))
        started = time.perf_counter()
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
        self.router.head.standardise.fit(*sums)
        told = wanted, len(loader), time.perf_counter() - started
        _log.info("feature moments gathered before step 1: %d of %d batches of this rank, %.0f s", *told)
        self._moments_known = True
