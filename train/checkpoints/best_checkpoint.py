"""The two checkpoints of a training: the best by its stage's metric, and the newest (ours).

Lightning remembers in each checkpoint which ones were the best before it. That memory is lost with a moved folder, is older than
the files after a kill, and takes several checkpoints of one name for one. Here every file says itself how good it is.
"""

import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor

from videorouter.routers.checkpoints.trained_file import RECORD, read_record

_log = logging.getLogger(__name__)

BEST: Final = "best"
STEP: Final = "-step-"
"""Between the name of the best and the step, where several are kept."""


class BestCheckpoint(ModelCheckpoint):
    """Keeps `dirpath`/best.ckpt, the best so far by `monitor`; a resumed training asks the files there how good they are.

    With `save_top_k` 2 or more, or -1 for all, `best-step-N.ckpt` are kept too, and best.ckpt is the best of them.
    """

    def setup(self, trainer: pl.Trainer, pl_module: Any, stage: str) -> None:
        """Raises `ValueError` where this stage logs no metric that is called `monitor`."""
        super().setup(trainer, pl_module, stage)
        if stage != "fit":
            return
        names = getattr(pl_module, "monitored", lambda: None)()
        if names is not None and self.monitor not in names:
            raise ValueError(
                f"--checkpoint.monitor {self.monitor}: this stage logs no such metric. It logs {', '.join(sorted(names))}"
            )
        validated = str(self.monitor).startswith("val/")
        if validated and trainer.limit_val_batches == 0 and trainer.is_global_zero:
            _log.warning("nothing is validated (limit_val_batches 0): last.ckpt alone is kept, no best.ckpt")
        if self._save_on_train_epoch_end is None:
            self._save_on_train_epoch_end = not validated

    def on_load_checkpoint(self, trainer: pl.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Raises `ValueError` where the files there were the best by another metric."""
        kept = dict(self._found(Path(str(self.dirpath)))) if trainer.is_global_zero else {}
        self._remember(trainer, trainer.strategy.broadcast(kept))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing: the files are asked."""

    def check_monitor_top_k(self, trainer: pl.Trainer, current: Tensor | None = None) -> bool:
        """Whether to save; a step that is validated again is not one more."""
        path = self._get_metric_interpolated_filepath_name(self._monitor_candidates(trainer), trainer)
        if self._several and path in self.best_k_models:
            return False
        return super().check_monitor_top_k(trainer, current)

    def _get_metric_interpolated_filepath_name(
        self, monitor_candidates: dict[str, Tensor], trainer: pl.Trainer, del_filepath: str | None = None
    ) -> str:
        path = self.format_checkpoint_name(monitor_candidates)
        if not self._several:
            return path
        return f"{path.removesuffix(self.FILE_EXTENSION)}{STEP}{trainer.global_step}{self.FILE_EXTENSION}"

    def _update_best_and_save(
        self, current: Tensor, trainer: pl.Trainer, monitor_candidates: dict[str, Tensor]
    ) -> None:
        super()._update_best_and_save(current, trainer, monitor_candidates)
        self._name_best(trainer)

    @property
    def _several(self) -> bool:
        """Whether files are told apart by their steps."""
        return self.save_top_k not in (0, 1) and "{" not in str(self.filename)

    def _found(self, folder: Path) -> Iterator[tuple[str, float]]:
        """Every file of ours in the folder, and its score. Where all are told apart by steps, best.ckpt is one of them."""
        stem = BEST if "{" in str(self.filename) else str(self.filename)
        pattern = f"{stem}{STEP}*.ckpt" if self._several else f"{stem}.ckpt"
        best = folder / f"{stem}{self.FILE_EXTENSION}"
        if self._several and best.exists():  # kept alone, before several were asked for
            again_as(best.with_name(f"{stem}{STEP}{read_record(best)['global_step']}{self.FILE_EXTENSION}"), best)
        for path in sorted(folder.glob(pattern)):
            yield os.path.join(str(self.dirpath), path.name), self._score(path)

    def _score(self, path: Path) -> float:
        record = read_record(path)
        for state in (record.get("callbacks") or {}).values():
            if state.get("monitor") == self.monitor and state.get("current_score") is not None:
                score = state["current_score"]
                return float(score["__tensor__"] if isinstance(score, dict) else score)
        metrics = record.get(RECORD, {}).get("metrics", {})
        if self.monitor in metrics:
            return float(metrics[self.monitor])
        raise ValueError(
            f"{path} was not the best by {self.monitor}, which is monitored now: resume with the --checkpoint.monitor that it was "
            "begun with, or give another --out"
        )

    def _remember(self, trainer: pl.Trainer, kept: dict[str, float]) -> None:
        """Begin with these files; of more than are to be kept, as a kill may leave, the worse ones are deleted."""
        self.best_k_models = {path: torch.tensor(score) for path, score in kept.items()}
        if not kept:
            return
        best_first = sorted(kept, key=lambda path: kept[path], reverse=self.mode == "max")
        for path in best_first[self.save_top_k :] if self.save_top_k > 0 else []:
            del self.best_k_models[path]
            if trainer.is_global_zero:
                Path(path).unlink()
        self.best_model_path = best_first[0]
        self.best_model_score = self.best_k_models[self.best_model_path]
        self.kth_best_model_path = [path for path in best_first if path in self.best_k_models][-1]
        self.kth_value = self.best_k_models[self.kth_best_model_path]
        self._name_best(trainer)

    def _name_best(self, trainer: pl.Trainer) -> None:
        """Let best.ckpt be the best of several."""
        if self._several and trainer.is_global_zero:
            best = Path(self.best_model_path)
            named = best.with_name(f"{self.filename}{self.FILE_EXTENSION}")
            again_as(named, best)


def again_as(name: Path, file: Path) -> None:
    """Let a file be there under another name too, as a hard link or, where the file system has none, as a copy."""
    if name.exists() and name.samefile(file):
        return
    unfinished = name.with_name(f".{name.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    try:
        os.link(file, unfinished)
    except OSError:
        shutil.copyfile(file, unfinished)
    os.replace(unfinished, name)


class LastCheckpoint(ModelCheckpoint):
    """Keeps `dirpath`/last.ckpt, the newest, to resume from; also when a training ends between two of its moments."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing: there is one file, and it is renewed."""

    def on_load_checkpoint(self, trainer: pl.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """The step that is resumed from is saved already."""
        self._last_global_step_saved = checkpoint["global_step"]

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """What was saved before the validation says that it is due."""
        super().on_validation_end(trainer, pl_module)
        if not trainer.sanity_checking and self._last_global_step_saved == trainer.global_step > 0:
            self._renew(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_end(trainer, pl_module)
        if self.save_top_k != 0 and not self._should_skip_saving_checkpoint(trainer):
            self._renew(trainer)

    def _renew(self, trainer: pl.Trainer) -> None:
        self._save_checkpoint(trainer, self.format_checkpoint_name(self._monitor_candidates(trainer)))
