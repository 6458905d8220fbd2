"""How fast training goes: questions a second, share of waiting for data, memory, and MFU from FLOPs in closed form (ours)."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Final

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from videorouter.routers.cost.families import FrameSize, geometry_of
from videorouter.routers.cost.flops import decoder_flops, head_flops, vision_flops
from videorouter.routers.cost.geometry import Geometry


@dataclass(frozen=True)
class ModelFlops:
    """Of one base model whose first `shadow_layers` layers routers read. Layers computed again on the way back do not count.

    `sized` gives its geometry for frames of (height, width) pixels.
    """

    geometry: Geometry
    shadow_layers: int
    sized: Callable[[FrameSize], Geometry]

    @classmethod
    def of(cls, config: Any, shadow_layers: int) -> "ModelFlops | None":
        """None for a family without formulas."""
        try:
            return cls(geometry_of(config), shadow_layers, lru_cache(partial(geometry_of, config)))
        except ValueError:
            return None

    def frames(self, count: int, size: FrameSize) -> float:
        """The frozen vision tower over so many frames, or merged pairs, of `size`."""
        return vision_flops(self.sized(size).vision, count)

    def relevance(self, frames: int, tokens: int, questions: Sequence[int]) -> float:
        """The frozen layers over frames of `tokens` tokens each, shared by questions of so many tokens."""
        decoder, layers = self.geometry.decoder, self.shadow_layers
        asked = sum(decoder_flops(decoder, question, before=tokens, layers=layers) for question in questions)
        return frames * (decoder_flops(decoder, tokens, layers=layers) + asked)

    def policies(self, questions: Sequence[int]) -> float:
        """The frozen layers over questions of so many tokens."""
        return sum(decoder_flops(self.geometry.decoder, tokens, layers=self.shadow_layers) for tokens in questions)

    def answer(self, prompt: int, answer: int, whole: bool) -> float:
        """Forward and backward over one prompt with its answer; gradients of weights are taken of the `whole` model or of few."""
        forward = decoder_flops(self.geometry.decoder, prompt + answer) + head_flops(self.geometry.decoder, answer)
        return forward * (3 if whole else 2)


PEAK_FLOPS: Final = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "B200": 2250e12, "L40S": 362e12}
"""Dense bfloat16 operations a second, as the makers give them, by what the device's name holds."""


class Throughput(Callback):
    """Logs `speed/...` once every so many optimizer steps, measured over the steps since the last time, validations left out.

    `questions_a_second` over all ranks; `step_seconds` a step takes, and `data_seconds` of it in which this rank's loader lets
    it wait, also as the share `waiting`; `peak_gib` on a GPU; `mfu`, model FLOPs over what the device could do, where the module
    counts its FLOPs and the device is known.
    """

    def __init__(self, every_n_steps: int = 10) -> None:
        self.every_n_steps = every_n_steps
        self._begin()

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._begin(trainer, pl_module)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._validating = time.perf_counter(), pl_module.spent

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        since, spent = self._validating
        self._since += time.perf_counter() - since
        self._spent += pl_module.spent - spent

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if not batch.last:
            return
        self._questions += batch.of_step.questions
        self._steps += 1
        if self._steps < self.every_n_steps:
            return
        seconds, waited = time.perf_counter() - self._since, waited_by(trainer) - self._waited
        told = {"questions_a_second": self._questions / seconds, "waiting": waited / seconds}
        told |= {"step_seconds": seconds / self._steps, "data_seconds": waited / self._steps}
        if pl_module.device.type == "cuda":
            told["peak_gib"] = torch.cuda.max_memory_allocated(pl_module.device) / 2**30
            peak = peak_flops(torch.cuda.get_device_name(pl_module.device))
            if peak and pl_module.spent > self._spent:
                told["mfu"] = (pl_module.spent - self._spent) / seconds / peak
        pl_module.log_dict({f"speed/{name}": value for name, value in told.items()}, batch_size=1, rank_zero_only=True)
        self._begin(trainer, pl_module)

    def _begin(self, trainer: pl.Trainer | None = None, pl_module: Any = None) -> None:
        self._since = time.perf_counter()
        self._waited = waited_by(trainer) if trainer else 0.0
        self._spent = pl_module.spent if pl_module else 0.0
        self._questions = self._steps = 0


def waited_by(trainer: pl.Trainer) -> float:
    """Seconds in which a training's loader let it wait, so far."""
    loader: Any = trainer.train_dataloader
    return float(loader.waited)


def peak_flops(device: str) -> float | None:
    """Of a device by its name; None for one that is not known."""
    return next((peak for name, peak in PEAK_FLOPS.items() if name in device), None)
