"""A training that is told to leave saves first: SIGTERM and SIGUSR1, as schedulers and torchrun send them (ours)."""

import logging
import signal
from pathlib import Path
from types import FrameType
from typing import Any, Final

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from videorouter.interruption import ASKED_TO_LEAVE
from videorouter.train.checkpoints.checkpoint_io import check_writable

_log = logging.getLogger(__name__)

EXIT_CODE: Final = 143
"""Of a training that left because it was told to, after saving."""
LEFT: Final = "left-when-told"
"""File beside the checkpoint of a training that left so, until it is resumed: torchrun's exit code is that of any failure."""


class ToldToLeave(SystemExit):
    """Ends the process with `EXIT_CODE`."""

    def __init__(self) -> None:
        super().__init__(EXIT_CODE)


class SaveWhenTold(Callback):
    """Saves `path` after the optimizer step under way, or the batch of a validation, and ends the process.

    A signal may reach one rank alone: the ranks agree at every optimizer step. (Lightning's own handler talks to other ranks from
    within the signal, where they may be in the middle of something else.) Before the first step a signal ends the process at
    once: nothing is lost.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._told = self._saved = False
        self._handlers: dict[int, Any] = {}

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Raises `OSError` where the folder cannot be written."""
        trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
        if trainer.is_global_zero:
            check_writable(self.path.parent)
            self.path.with_name(LEFT).unlink(missing_ok=True)

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self._leave_if_saved()
        if not self._handlers:
            self._handlers = {number: signal.signal(number, self._hear) for number in ASKED_TO_LEAVE}

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if batch.last:
            self._save_if_told(trainer)  # and leave once the step is in the logs

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._leave_if_saved()

    def on_validation_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if self._handlers:
            self._save_if_told(trainer)
            self._leave_if_saved()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._leave_if_saved()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._give_back()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        if not self._saved:  # a second signal must not cut short the last lines of the logs
            self._give_back()

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self._told = True

    def _save_if_told(self, trainer: pl.Trainer) -> None:
        """All ranks together."""
        told = torch.tensor(float(self._told), device=trainer.strategy.root_device)
        if float(trainer.strategy.reduce(told, reduce_op="sum")) > 0:
            trainer.save_checkpoint(self.path)
            self._saved = True
            if trainer.is_global_zero:
                self.path.with_name(LEFT).write_text(f"step {trainer.global_step}\n")
            _log.info("told to leave: saved step %d", trainer.global_step)

    def _leave_if_saved(self) -> None:
        if self._saved:
            raise ToldToLeave

    def _give_back(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}
