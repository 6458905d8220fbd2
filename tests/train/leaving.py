"""A training that ends early, as one does that was told to leave."""

from typing import Any

from pytorch_lightning.callbacks import Callback


class LeaveAfter(Callback):
    """Stops after so many optimizer steps; the schedule is that of the whole training."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step >= self.steps:
            trainer.should_stop = True
