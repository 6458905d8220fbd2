"""What a training did, in `run.log` of its output folder: start, checkpoints, validations, skipped questions, its end."""

import logging
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from videorouter.run_log import log_in
from videorouter.train.preemption import ToldToLeave

_log = logging.getLogger(__name__)


class RunLog(Callback):
    """Keeps `out/run.log` (`run-RANK.log` on other ranks) from before the first step to the end, with Lightning's own log in it."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self._open = ExitStack()

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self._open.close()
        self._open.enter_context(log_in(self.out, trainer.global_rank, also=["pytorch_lightning", "py.warnings"]))

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        where = f"resumed from {trainer.ckpt_path} at" if trainer.ckpt_path else "begins at"
        strategy = type(trainer.strategy).__name__
        _log.info("training %s step %d, %d ranks, %s", where, trainer.global_step, trainer.world_size, strategy)

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: Any) -> None:
        _log.info("checkpoint at step %d", trainer.global_step)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.sanity_checking:
            figures = ", ".join(f"{name} {float(value):.5g}" for name, value in trainer.callback_metrics.items())
            _log.info("validated at step %d: %s", trainer.global_step, figures)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        if not isinstance(exception, ToldToLeave):
            told = "interrupted" if isinstance(exception, KeyboardInterrupt) else "stopped by an error"
            _log.info("%s at step %d", told, trainer.global_step, exc_info=exception)
        self._open.close()

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        _log.info("%s ends at step %d", stage, trainer.global_step)
        self._open.close()
