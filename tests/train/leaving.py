"""A training that ends early, as one does that was told to leave."""

import os
import signal
from typing import Any

from pytorch_lightning.callbacks import Callback


class LeaveAfter(Callback):
    """Stops after so many optimizer steps; the schedule is that of the whole training."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step >= self.steps:
            trainer.should_stop = True


class ToldAfter(Callback):
    """Sends its process the signal by which a scheduler tells a training to leave, after so many optimizer steps."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == self.steps - 1:
            os.kill(os.getpid(), signal.SIGUSR1)
