"""LightningCLI with one output folder: checkpoints, logs and the resolved config go there."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytorch_lightning as pl
import yaml
from jsonargparse import Namespace, get_loader, set_loader
from pytorch_lightning.callbacks import Callback, RichProgressBar
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from pytorch_lightning.plugins import CheckpointIO
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from videorouter.command_line import typed_command
from videorouter.train.checkpoints.best_checkpoint import BestCheckpoint, LastCheckpoint
from videorouter.train.checkpoints.checkpoint_io import TrainedFileIO
from videorouter.train.logs.optimizer_log import OptimizerLog
from videorouter.train.logs.progress_lines import ProgressLines
from videorouter.train.logs.run_log import RunLog
from videorouter.train.logs.throughput import Throughput
from videorouter.train.logs.trace import Trace
from videorouter.train.optimizing.strategies import register
from videorouter.train.preemption import SaveWhenTold
from videorouter.train.validation.due_validation import DueValidation
from videorouter.usage import OneLine

_MOVED: Final = {
    "modules": ("modules", "ImageRouterModule", "SemanticRouterModule", "JointModule"),
    "data": ("data", "FrameRelevanceData", "QuestionPolicyData", "AnswerData"),
    "checkpoint_io": ("checkpoints.checkpoint_io", "TrainedFileIO"),
    "best_checkpoint": ("checkpoints.best_checkpoint", "BestCheckpoint", "LastCheckpoint"),
    "due_validation": ("validation.due_validation", "DueValidation"),
    "optimizer_log": ("logs.optimizer_log", "OptimizerLog"),
    "preemption": ("preemption", "SaveWhenTold"),
    "progress_lines": ("logs.progress_lines", "ProgressLines"),
    "run_log": ("logs.run_log", "RunLog"),
    "strategies": ("optimizing.strategies", "ZeroStrategy"),
    "throughput": ("logs.throughput", "Throughput"),
    "trace": ("logs.trace", "Trace"),
}
"""Classes that saved configs name, by the module of this package that they named them in: the module of today, and the classes."""
EARLIER_NAMES: Final = {
    f"{package}.{before}.{name}": f"videorouter.train.{today}.{name}"
    for before, (today, *names) in _MOVED.items()
    for name in names
    for package in ("train", "videorouter.train")  # before 0.2 packages had no common name
}


def with_current_names(loaded: Any) -> Any:
    """A loaded config in which class paths of earlier versions are today's; a user's own `train.Mine` stays."""
    if isinstance(loaded, dict):
        return {key: with_current_names(value) for key, value in loaded.items()}
    if isinstance(loaded, list):
        return [with_current_names(value) for value in loaded]
    return EARLIER_NAMES.get(loaded, loaded) if isinstance(loaded, str) else loaded


def read_earlier_names() -> None:
    """Let jsonargparse load configs of earlier versions, wherever it loads YAML.

    Nothing of ours is imported under an old name: a class that existed under two names would be two classes.
    """
    load = get_loader("yaml")
    set_loader("yaml", lambda text: with_current_names(load(text)), exceptions=(yaml.YAMLError,))


register()
read_earlier_names()


class Parser(OneLine, LightningArgumentParser):
    """Lightning's parser with errors of one line."""


class KeptConfig(SaveConfigCallback):
    """Keeps the resolved config of the newest start in `--out`; Lightning keeps each start's in the folder of its logs."""

    def save_config(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        text = self.parser.dump(self.config, skip_none=False)
        Path(trainer.default_root_dir, self.config_filename).write_text(text, encoding="utf-8")


OPTIONS: dict[str, Any] = {
    "parser_class": Parser,
    "model_class": pl.LightningModule,
    "datamodule_class": pl.LightningDataModule,
    "subclass_mode_model": True,
    "subclass_mode_data": True,
    "save_config_callback": KeptConfig,
    "save_config_kwargs": {"overwrite": True},
}


LOGS: Final = {"CSVLogger": "csv", "TensorBoardLogger": "tensorboard"}
"""Loggers and their folders under `--out`, where no other is asked for."""


class RouterCLI(LightningCLI):
    """Adds `--out`, `--resume` and two checkpoints: `--checkpoint.*` keeps the best, `--last.*` the newest, to resume from.

    (Lightning's `save_last` renews last.ckpt only when a best one is saved.)
    """

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Training alone: a router is evaluated by `videorouter eval`, and its checkpoints carry what was validated."""
        return {"fit": LightningCLI.subcommands()["fit"]}

    def before_instantiate_classes(self) -> None:
        """Under torchrun its processes are the ranks, on however many nodes there are now. Logs go to `--out`."""
        local, everywhere = int(os.environ.get("LOCAL_WORLD_SIZE", 0)), int(os.environ.get("WORLD_SIZE", 0))
        asked = self.config[str(self.subcommand)]
        if self.subcommand == "fit" and saves(asked.trainer) and asked.checkpoint.monitor is None:
            raise ValueError(
                "nothing says which checkpoint is the best: give the config a section `checkpoint:` with monitor and mode, such as "
                "val/image_auroc and max, or --checkpoint.monitor and --checkpoint.mode"
            )
        check_flags(asked)
        if asked.accept_base and "accept_base" in asked.model.init_args:
            asked.model.init_args.accept_base = True
        if local and everywhere:
            asked.trainer.devices, asked.trainer.num_nodes = local, everywhere // local
        if asked.trainer.barebones:
            asked.trainer.logger, asked.trainer.log_every_n_steps = asked.trainer.logger or False, None
        if asked.trainer.logger is None:
            asked.trainer.logger = [
                Namespace(
                    class_path=f"pytorch_lightning.loggers.{kind}", init_args=Namespace(save_dir=asked.out, name=name)
                )
                for kind, name in LOGS.items()
            ]

    def before_fit(self) -> None:
        """A step's batches are shared by the ranks there are; an earlier run is resumed where that is asked for."""
        a_step = getattr(self.datamodule, "batches_a_step", None)
        if a_step is not None:
            if a_step % self.trainer.world_size:
                raise ValueError(f"{a_step} batches a step cannot be shared equally by {self.trainer.world_size} ranks")
            accumulated = a_step // self.trainer.world_size
            if self.trainer.accumulate_grad_batches not in (1, accumulated):
                raise ValueError(
                    f"--trainer.accumulate_grad_batches {self.trainer.accumulate_grad_batches} contradicts "
                    f"--data.init_args.batches_a_step {a_step}, of which {self.trainer.world_size} ranks take {accumulated} each: "
                    "leave one of them out"
                )
            self.trainer.accumulate_grad_batches = accumulated
        asked = self.config[str(self.subcommand)]
        self.model.config_yaml = self._parser(self.subcommand).dump(asked, skip_link_targets=False)
        found = resumed_from(asked.resume, Path(last_checkpoint(asked.out)))
        if found is not None:
            self.config_init[self.subcommand].ckpt_path = str(found)
        elif asked.init_from:
            self.model.start_from([Path(path) for path in asked.init_from])

    def _instantiate_trainer(self, config: dict[str, Any], callbacks: list[Callback]) -> pl.Trainer:
        """Without our callbacks of what is turned off, and with our checkpoint files beside plugins that are asked for."""
        off: tuple[type[Callback], ...] = ()
        if not saves(config):
            off += (BestCheckpoint, LastCheckpoint, SaveWhenTold)
        if config["barebones"]:
            off += (Throughput, OptimizerLog)
        bar: Callback = RichProgressBar(leave=True) if sys.stdout.isatty() else ProgressLines()
        quiet = config["enable_progress_bar"] is False or config["barebones"]
        self.trainer_defaults = {**self.trainer_defaults, "callbacks": [] if quiet else bar}
        plugins = config["plugins"] or []
        plugins = list(plugins) if isinstance(plugins, list) else [plugins]
        if not any(isinstance(plugin, CheckpointIO) for plugin in plugins):
            config["plugins"] = [*plugins, TrainedFileIO()]
        return super()._instantiate_trainer(config, [one for one in callbacks if not isinstance(one, off)])

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument(
            "--out", default="runs/training", help="folder for checkpoints, logs and the resolved config"
        )
        parser.add_argument(
            "--resume",
            default="none",
            help="none, auto (from OUT/checkpoints/last.ckpt where there is one) or a checkpoint file",
        )
        parser.add_argument(
            "--init_from",
            "--init-from",
            type=str,
            nargs="+",
            default=[],
            metavar="PATH",
            help="begin with the weights of a checkpoint or router folder, of several with their mean; not where a run is resumed",
        )
        parser.add_argument(
            "--accept_base",
            "--accept-base",
            action="store_true",
            help="use another base than the routers, or the training that is resumed, were trained on; say what differs",
        )
        parser.add_lightning_class_args(BestCheckpoint, "checkpoint")
        parser.add_lightning_class_args(LastCheckpoint, "last")
        parser.add_lightning_class_args(SaveWhenTold, "preemption")
        parser.add_lightning_class_args(DueValidation, "due_validation")
        parser.add_lightning_class_args(Throughput, "throughput")
        parser.add_lightning_class_args(OptimizerLog, "optimizer_log")
        parser.add_lightning_class_args(Trace, "trace")
        parser.add_lightning_class_args(RunLog, "run_log")
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
        parser.link_arguments("out", "preemption.path", compute_fn=last_checkpoint)
        parser.link_arguments("out", "run_log.out")

    def _parse_ckpt_path(self) -> None:
        """Nothing: Lightning would unpickle the checkpoint to look for arguments of the model."""


class _ParsedCLI(RouterCLI):
    """Stops after parsing."""

    def instantiate_classes(self) -> None:
        pass

    def _run_subcommand(self, subcommand: str) -> None:
        pass


def checkpoint_folder(out: str) -> str:
    """Where checkpoints lie under an output folder."""
    return f"{out}/checkpoints"


def last_checkpoint(out: str) -> str:
    """The newest checkpoint under an output folder."""
    return f"{checkpoint_folder(out)}/last.ckpt"


def saves(trainer: Mapping[str, Any] | Namespace) -> bool:
    """Whether a trainer of this configuration saves anything."""
    return not (trainer["enable_checkpointing"] is False or trainer["barebones"])


def check_flags(asked: Namespace) -> None:
    """Raise `ValueError` where a flag of Lightning's contradicts what this project promises of a training."""
    if asked.trainer.reload_dataloaders_every_n_epochs:
        raise ValueError(
            "--trainer.reload_dataloaders_every_n_epochs: every epoch has an order of its own already, and the position in it is "
            "the loader's: leave it out"
        )
    if "last" in asked and asked.last.monitor is not None:
        raise ValueError(
            f"--last.monitor {asked.last.monitor}: last.ckpt is the newest; --checkpoint.monitor says which is the best"
        )


def resumed_from(asked: str, last: Path) -> Path | None:
    """The checkpoint file to resume from. Raises `ValueError` for one that is asked for by name and is not there."""
    if asked == "none" or (asked == "auto" and not last.exists()):
        return None
    if asked == "auto":
        return last
    if not Path(asked).is_file():
        raise ValueError(f"--resume {asked}: no such checkpoint; give a file, auto or none")
    return Path(asked)


def run(arguments: list[str] | None) -> None:
    """Parse a command line (the process's own where None) and run it. Raises `ValueError` for what Lightning refuses."""
    try:
        RouterCLI(**OPTIONS, args=arguments, parser_kwargs={"prog": typed_command("train")})
    except MisconfigurationException as error:
        raise ValueError(f"the trainer refuses this configuration: {' '.join(str(error).split())}") from error


def parse(arguments: list[str]) -> Namespace:
    """Parse a command line without making or loading anything."""
    return _ParsedCLI(**OPTIONS, args=arguments, parser_kwargs={"prog": typed_command("train")}).config
