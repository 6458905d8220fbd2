"""LightningCLI with one output folder: checkpoints, logs and the resolved config go there."""

from typing import Any

import pytorch_lightning as pl
from jsonargparse import Namespace
from pytorch_lightning.callbacks import ModelCheckpoint, RichProgressBar
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI

OPTIONS: dict[str, Any] = {
    "model_class": pl.LightningModule,
    "datamodule_class": pl.LightningDataModule,
    "subclass_mode_model": True,
    "subclass_mode_data": True,
    "trainer_defaults": {"callbacks": RichProgressBar(leave=True)},
    "save_config_kwargs": {"overwrite": True},
}


class RouterCLI(LightningCLI):
    """Adds `--out` and two checkpoints: `--checkpoint.*` keeps the best, `--last.*` the newest, to resume from.

    (Lightning's `save_last` renews last.ckpt only when a best one is saved.)
    """

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument(
            "--out", default="runs/training", help="folder for checkpoints, logs and the resolved config"
        )
        parser.add_lightning_class_args(ModelCheckpoint, "checkpoint")
        parser.add_lightning_class_args(ModelCheckpoint, "last")
        parser.set_defaults(
            {
                "checkpoint.filename": "best",
                "checkpoint.enable_version_counter": False,
                "last.filename": "last",
                "last.enable_version_counter": False,
                "last.save_on_train_epoch_end": True,
            }
        )
        parser.link_arguments("out", "trainer.default_root_dir")
        parser.link_arguments("out", "checkpoint.dirpath", compute_fn=checkpoint_folder)
        parser.link_arguments("out", "last.dirpath", compute_fn=checkpoint_folder)


class _ParsedCLI(RouterCLI):
    """Stops after parsing."""

    def instantiate_classes(self) -> None:
        pass

    def _run_subcommand(self, subcommand: str) -> None:
        pass


def checkpoint_folder(out: str) -> str:
    """Where checkpoints lie under an output folder."""
    return f"{out}/checkpoints"


def run(arguments: list[str] | None) -> None:
    """Parse a command line (the process's own where None) and run it."""
    RouterCLI(**OPTIONS, args=arguments)


def parse(arguments: list[str]) -> Namespace:
    """Parse a command line without making or loading anything."""
    return _ParsedCLI(**OPTIONS, args=arguments).config
