"""A validation that a kill prevented or interrupted is made when the training resumes, before its next step (ours)."""

from typing import Any, Final

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

DUE: Final = "validation_due"
"""Key of a checkpoint that was taken after the step and before the end of the validation that follows it."""


class DueValidation(Callback):
    """Without it the checkpoint after such a validation, which may be the best, would be missed for good."""

    def __init__(self) -> None:
        self._due = False
        self._validated_at = -1

    def setup(self, trainer: pl.Trainer, pl_module: Any, stage: str) -> None:
        """Lightning has no hook for this: a training whose last step is done starts nothing any more."""
        if stage != "fit":
            return
        loop: Any = trainer.fit_loop
        run = loop.run

        def validate_and_run() -> None:
            loop.setup_data()
            if self._due and trainer.enable_validation:
                self._validate(trainer, pl_module)
            run()

        loop.run = validate_and_run

    def on_load_checkpoint(self, trainer: pl.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        self._due = bool(checkpoint.get(DUE, False))

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if not trainer.sanity_checking:
            self._validated_at = trainer.global_step

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        loop: Any = trainer.fit_loop
        fetcher = loop._data_fetcher
        checkpoint[DUE] = (
            fetcher is not None
            and self._validated_at != trainer.global_step
            and (self._due or loop.epoch_loop._should_check_val_fx(fetcher))
        )

    def _validate(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """As Lightning does between two steps."""
        pl_module.take_position()
        first = trainer._logger_connector._first_loop_iter
        trainer.validating = True
        trainer.fit_loop.epoch_loop.val_loop.run()
        trainer.training = True
        trainer._logger_connector._first_loop_iter = first
        self._due = False
