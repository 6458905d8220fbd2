"""What all stages share: losses over whole steps, optimizer and rate, compiled layers, checkpoints that name their base."""

import json
import logging
import math
import os
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from videorouter.routers.checkpoints.base_identity import BaseModel, base_identity
from videorouter.routers.checkpoints.same_base import same_base
from videorouter.routers.checkpoints.trained_file import RECORD
from videorouter.routers.checkpoints.training_history import Training
from videorouter.train.checkpoints.checkpoint_io import TRAINABLES, check_step, restore_position, whole_batches
from videorouter.train.checkpoints.initial_weights import base_of, initial_weights
from videorouter.train.data.shard_data import ShardData
from videorouter.train.data.steps import Microbatch
from videorouter.train.optimizing.optimization import Settings, warmup_cosine
from videorouter.train.optimizing.optimizer_groups import Group, regroup_optimizer, regroup_schedules

_log = logging.getLogger(__name__)


Compiler = Literal["inductor", "aot_eager"]
"""`inductor` writes kernels and needs a C++ compiler; `aot_eager` traces as it does and writes none, for finding faults."""


def compile_layers(layers: Any, compiler: Compiler | None) -> None:
    """Compile each layer in place, once for all lengths; names of parameters stay. Nothing where `compiler` is None."""
    if compiler is not None:
        for layer in layers:
            layer.compile(backend=compiler, dynamic=True)


class TrainingDiverged(ValueError):
    """A NaN loss; the questions of the microbatch are kept in a file that the message names."""


class TrainedModule(pl.LightningModule):
    """A module that trains `trained_tensors` beside a frozen base, which is no part of it and of its checkpoints.

    `validated` are the metrics of the last validation, at optimizer step `validated_at`: every checkpoint carries them, also one
    that is saved before the next validation of a resumed training.
    """

    stage: ClassVar[str]
    """Its name in the history of an export."""

    def __init__(
        self,
        base: str,
        learning_rate: float,
        weight_decay: float,
        warmup_share: float,
        *,
        decay_norms_and_biases: bool = False,
        revision: str | None = None,
        accept_base: bool = False,
    ) -> None:
        """`decay_norms_and_biases` lets weight decay reach tensors of one dimension too, which are left alone otherwise, as most
        trainers do. `revision` is of a base on the Hub. `accept_base` resumes with another base than the training was started
        with, and says what differs."""
        super().__init__()
        self.strict_loading = False
        self.base, self.accept_base = base_identity(base, revision), accept_base
        self.learning_rate, self.weight_decay, self.warmup_share = learning_rate, weight_decay, warmup_share
        self.decay_norms_and_biases = decay_norms_and_biases
        self.validated: dict[str, float] = {}
        self.validated_at: int | None = None
        self._step_losses: dict[str, Tensor] = {}
        self._position: dict[str, Any] | None = None
        self.settings: Settings | None = None
        self._saved_settings: dict[str, float] | None = None
        self.config_yaml: str | None = None
        self.spent = 0.0
        """Model FLOPs so far; 0 where there is no formula for the base."""
        self.noise_seed = int(os.environ.get("PL_GLOBAL_SEED", 0))

    def beside(self, name: str, module: nn.Module) -> None:
        """Keep a module as `self.name` without its becoming a part of this one: strategies would shard or wrap it."""
        self.__dict__[name] = module

    @abstractmethod
    def losses(self, batch: Microbatch[Any]) -> dict[str, tuple[float, Tensor]]:
        """By name the weight of a loss, and this microbatch's part of its mean over the whole step."""

    @abstractmethod
    def trained_tensors(self) -> dict[str, Tensor]:
        """What an export holds, by its name there: parameters that are trained, and buffers beside them."""

    @abstractmethod
    def validates(self) -> list[str]:
        """Names of the metrics that a validation logs, without `val/`."""

    @abstractmethod
    def record(self) -> dict[str, Any]:
        """What an export must know beside weights."""

    def earlier(self) -> list[Training]:
        """The trainings that this one started from, first to last."""
        return []

    def repositories(self) -> list[str]:
        """Hub ids that the settings name, beside the base's."""
        return []

    def start_from(self, paths: Sequence[Path]) -> None:
        """Begin with the weights of a checkpoint or router folder, or with the mean of several; nothing else is taken from them.

        Raises `ValueError` where they do not hold all that is trained here, or belong to another base.
        """
        for path in paths:
            remedy = "take weights over this one for --init-from"
            same_base(base_of(path), self.base, remedy=remedy, accept=self.accept_base)
        wanted = self.trained_tensors()
        for name, tensor in initial_weights(paths, wanted).items():
            wanted[name].data.copy_(tensor)

    def rates(self) -> dict[str, float]:
        """Peak rate of a trained tensor whose name begins so; `learning_rate` for all others."""
        return {}

    def fed_size(self, frames: int, height: int, width: int) -> tuple[int, int]:
        """(height, width) of frames as the backbone takes them, of a video of so many frames of `height` x `width`."""
        backbone: Any = self.backbone
        size: tuple[int, int] = backbone.size_of(backbone.grid_of(frames, height, width))
        return size

    def monitored(self) -> list[str]:
        """Names of metrics by which a checkpoint can be the best."""
        return [f"val/{name}" for name in self.validates()] + ["train/loss"]

    def on_train_start(self) -> None:
        self.take_position()
        if self._saved_settings is None or self.settings is None:
            return
        (optimizer,), (schedule,) = self.trainer.optimizers, self.trainer.lr_scheduler_configs
        self.settings.apply(optimizer, schedule.scheduler, self.optimizer_groups())
        changes = self.settings.changes(self._saved_settings)
        if changes and self.trainer.is_global_zero:
            _log.warning("resumed at step %d with other settings: %s", self.trainer.global_step, changes)

    def take_position(self) -> None:
        """Before the first batch is read, or a checkpoint is taken."""
        loader: Any = self.trainer.train_dataloader
        if self._position is not None:
            loader.load_state_dict(self._position)
            self._position = None

    def training_step(self, batch: Microbatch[Any], batch_idx: int) -> Tensor:
        parts = self.losses(batch)
        total = sum((weight * part for weight, part in parts.values()), torch.zeros((), device=self.device))
        if not math.isfinite(float(total.detach())):
            raise TrainingDiverged(self._diverged(batch, parts))
        told = {name: part for name, (_, part) in parts.items()} | ({"loss": total} if len(parts) > 1 else {})
        for name, part in told.items():
            before = self._step_losses.get(name)
            self._step_losses[name] = part.detach() if before is None else before + part.detach()
        if batch.last:
            for name, part in self._step_losses.items():
                whole = self.trainer.strategy.reduce(part.float(), reduce_op="sum")
                self.log(f"train/{name}", whole, prog_bar=name == "loss", batch_size=1)
            self._step_losses = {}
        # Gradients are averaged over ranks and microbatches afterwards (by DeepSpeed over these once more, after Lightning);
        # but these are parts of a sum.
        divided = 2 if self.trainer.strategy.handles_gradient_accumulation else 1
        return total * self.trainer.world_size * self.trainer.accumulate_grad_batches**divided

    def measured(self, name: str, value: float | Tensor, **options: Any) -> None:
        """Log a metric of a whole validation, and keep it for the checkpoints that follow."""
        self.log(name, value, **options)
        if not self.trainer.sanity_checking:
            self.validated[name], self.validated_at = float(value), self.global_step

    def configure_optimizers(self) -> Any:
        steps = self._steps_in_all()
        self.settings = Settings(
            self.learning_rate, self.weight_decay, self.decay_norms_and_biases, self.warmup_share, steps
        )
        named = self._trainables()
        groups = [
            {"params": [named[name] for name in group.names], "lr": group.rate, "weight_decay": group.decay}
            for group in self.optimizer_groups()
        ]
        optimizer = torch.optim.AdamW(groups, lr=self.learning_rate, weight_decay=self.weight_decay)
        schedule = warmup_cosine(optimizer, steps, self.warmup_share)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def optimizer_groups(self) -> list[Group]:
        """What is trained, by rate and weight decay."""
        names: dict[tuple[float, float], list[str]] = {}
        for name, tensor in self._trainables().items():
            rate = next((rate for start, rate in self.rates().items() if name.startswith(start)), self.learning_rate)
            shape = getattr(tensor, "ds_shape", tensor.shape)  # under ZeRO-3 a rank's part has another one
            decayed = self.decay_norms_and_biases or len(shape) > 1
            names.setdefault((rate, self.weight_decay if decayed else 0.0), []).append(name)
        return [Group(rate, decay, tuple(held)) for (rate, decay), held in names.items()]

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        return (
            batch  # samples hold JPEG bytes and labels; tensors made of them are put on the device where they are made
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["state_dict"] = {name: tensor.detach() for name, tensor in self.trained_tensors().items()}
        groups = self.optimizer_groups()
        checkpoint[TRAINABLES] = [name for group in groups for name in group.names]
        checkpoint["group_sizes"] = [len(group.names) for group in groups]
        checkpoint["rng"] = self._generators()
        checkpoint["settings"] = self.settings.told() if self.settings else None
        checkpoint["batches_a_step"] = self.trainer.accumulate_grad_batches * self.trainer.world_size
        base = {"path": self.base.path, "sha256": self.base.sha256, "revision": self.base.revision}
        now = Training(
            self.stage,
            metrics=self.validated,
            validated_at=self.validated_at,
            step=self.global_step,
            data=self._data().origins(),
            split=self._data().splits["val"],
            settings=self.config_yaml,
            hub_ids=self.repositories(),
        ).as_json()
        told = {"base": base, "config": now.pop("settings"), "earlier": [one.as_json() for one in self.earlier()]}
        checkpoint[RECORD] = now | told | self.record()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        record = checkpoint[RECORD]
        self.validated, self.validated_at = dict(record["metrics"]), record.get("validated_at")
        trained_on = BaseModel(**record["base"])
        same_base(trained_on, self.base, remedy="resume with the base it was started with", accept=self.accept_base)
        trainer: Any = self.trainer
        check_step(checkpoint["batches_a_step"], trainer.accumulate_grad_batches * trainer.world_size)
        self._position = restore_position(
            checkpoint["loops"]["fit_loop"],
            self._data().train_dataloader(),
            trainer.limit_train_batches,
            checkpoint["batches_a_step"],
        )
        groups = self.optimizer_groups()
        regroup_schedules(checkpoint, groups)
        if checkpoint.get("optimizer_states"):  # ZeRO has taken them already
            regroup_optimizer(checkpoint, groups)
        self._saved_settings = checkpoint.get("settings")
        saved = checkpoint["state_dict"]
        for name, tensor in self.trained_tensors().items():
            if name in saved:  # ZeRO has taken its parts already
                tensor.data.copy_(saved[name])
        checkpoint["state_dict"] = {}
        own = checkpoint.get("rng", {}).get(f"{self.global_rank}/torch")
        if own is not None:
            torch.set_rng_state(own)

    def _steps_in_all(self) -> int:
        """Optimizer steps of the whole training. (Lightning's estimate would set the loaders up too early.)

        Raises `ValueError` where nothing says it, or an epoch is cut off in the middle of a step.
        """
        trainer: Any = self.trainer
        limit, a_step = trainer.limit_train_batches, trainer.accumulate_grad_batches
        an_epoch = whole_batches(len(self._data().train_dataloader()), limit)
        if an_epoch % a_step and not trainer.fast_dev_run:
            raise ValueError(
                f"--trainer.limit_train_batches {limit} ends every epoch after {an_epoch} batches a rank, in the middle of an "
                f"optimizer step, which takes {a_step}: give a multiple of {a_step}"
            )
        steps = [an_epoch // a_step * trainer.max_epochs] if trainer.max_epochs and trainer.max_epochs > 0 else []
        steps += [trainer.max_steps] if trainer.max_steps > 0 else []
        if not steps:
            raise ValueError(
                "nothing says how many steps the training has, and so how the rate decays: give --trainer.max_epochs or "
                "--trainer.max_steps, beside --trainer.max_time too"
            )
        return max(1, min(steps))

    def _data(self) -> ShardData:
        trainer: Any = self.trainer
        return trainer.datamodule

    def _trainables(self) -> dict[str, nn.Parameter]:
        tensors = self.trained_tensors().items()
        return {name: tensor for name, tensor in tensors if isinstance(tensor, nn.Parameter) and tensor.requires_grad}

    def _generators(self) -> dict[str, Tensor]:
        """The state of every rank's random number generator; ranks together."""
        own = torch.get_rng_state()
        states: Any = self.all_gather(own.to(self.device)) if self.trainer.world_size > 1 else own[None]
        return {f"{rank}/torch": state.cpu() for rank, state in enumerate(states)}

    def _diverged(self, batch: Microbatch[Any], parts: dict[str, tuple[float, Tensor]]) -> str:
        """Keep what was asked, and say where."""
        path = Path(self.trainer.default_root_dir) / f"diverged-rank-{self.global_rank}.json"
        asked = [{"sample": item.key, "questions": list(item.asked)} for item in batch.items]
        found = {name: float(part.detach()) for name, (_, part) in parts.items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"step": self.global_step, "losses": found, "items": asked}, indent=1))
        return (
            f"NaN loss at step {self.global_step} ({found}): what was asked is in {path}. The last checkpoint is "
            "sound; look at these samples (`videorouter shards show`), or lower the rate, and resume from it"
        )
