"""The progress of a training as plain lines, for logs of schedulers and other places without a terminal (ours)."""

import time
from datetime import timedelta
from typing import Any, Final

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ProgressBar

TOLD: Final = {
    "train/loss": "loss {:.4g}",
    "train/rate": "rate {:.3g}",
    "train/gradient_norm": "gradient {:.3g}",
    "speed/questions_a_second": "{:.3g} questions/s",
    "speed/waiting": "{:.0%} waiting",
    "speed/mfu": "MFU {:.0%}",
}


class ProgressLines(ProgressBar):
    """Prints a line every `trainer.log_every_n_steps` optimizer steps: the step, the newest figures, and the time that is left."""

    def __init__(self) -> None:
        super().__init__()
        self._enabled = True
        self._begun = (0.0, 0)

    def disable(self) -> None:
        """As on all ranks but the first."""
        self._enabled = False

    def enable(self) -> None:
        self._enabled = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._begun = time.monotonic(), trainer.global_step
        self._say(f"training begins at step {trainer.global_step} of {pl_module.settings.steps}")

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        step, last = trainer.global_step, pl_module.settings.steps
        if not batch.last or (step % max(1, trainer.log_every_n_steps) and step != last):
            return
        metrics, (since, first) = trainer.callback_metrics, self._begun
        left = (time.monotonic() - since) / (step - first) * (last - step)
        figures = [text.format(float(metrics[name])) for name, text in TOLD.items() if name in metrics]
        figures.append(f"{timedelta(seconds=round(left))} left")
        self._say(f"step {step} of {last}, epoch {trainer.current_epoch}: {', '.join(figures)}")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if not trainer.sanity_checking:
            metrics = [(name, value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")]
            self._say(
                f"validated at step {trainer.global_step}: {', '.join(f'{n[4:]} {float(v):.4g}' for n, v in metrics)}"
            )

    def _say(self, line: str) -> None:
        if self._enabled:
            print(line, flush=True)
