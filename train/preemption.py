"""A training that is told to leave saves first: SIGTERM and SIGUSR1, as schedulers and torchrun send them (ours)."""

import signal
from pathlib import Path
from types import FrameType
from typing import Any, Final

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

TOLD: Final = (signal.SIGTERM, signal.SIGUSR1)
EXIT_CODE: Final = 143
"""Of a training that left because it was told to, after saving."""


class SaveWhenTold(Callback):
    """Saves `path` after the optimizer step under way and ends the fit; `left` says that this is why it ended.

    A signal may reach one rank alone: at every optimizer step the ranks agree. (Lightning's own handler talks to other ranks from
    within the signal, where they may be in the middle of something else.)
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.left = False
        self._told = False
        self._handlers: dict[int, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for number in TOLD:
            self._handlers[number] = signal.signal(number, self._hear)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if not batch.last:
            return
        told = torch.tensor(float(self._told), device=pl_module.device)
        if float(trainer.strategy.reduce(told, reduce_op="sum")) > 0:
            trainer.save_checkpoint(self.path)
            self.left = trainer.should_stop = True

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._give_back()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._give_back()

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self._told = True

    def _give_back(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}
