"""`videorouter train check`: what would stop a training, said before any GPU minute is spent (ours).

Nothing is loaded: the base's config and the shards' sidecars and labels are read, and a byte is written to the output folder.
"""

import importlib
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from jsonargparse import Namespace
from rich.console import Console
from rich.table import Table
from rich.text import Text
from transformers import AutoConfig

from videorouter.routers.backbones.early_loading import check_early
from videorouter.routers.backbones.loading import check_format, loading_from
from videorouter.routers.backbones.tokenizer import load_tokenizer
from videorouter.routers.checkpoints.base_identity import BaseModel, base_identity
from videorouter.routers.checkpoints.router_folder import read_config
from videorouter.routers.checkpoints.same_base import same_base
from videorouter.routers.checkpoints.trained_file import RECORD, read_record
from videorouter.train.cli import last_checkpoint, parse, resumed_from
from videorouter.train.initial_weights import base_of
from videorouter.train.strategy_memory import Memory, described_routers, memory_of


@dataclass(frozen=True)
class Finding:
    """One thing looked at: what was found, or what is wrong and what to do."""

    subject: str
    sound: bool
    text: str


def check(arguments: list[str], ranks: int | None = None, console: Console | None = None) -> int:
    """Look at everything `fit` with these arguments would need, print it; exit code 1 where something would stop it.

    `ranks` are counted from torchrun's environment, or `trainer.devices` and `trainer.num_nodes`, where not given.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning would rather read the command line itself
        asked = parse(["fit", *arguments, "--seed_everything", "false"]).fit
    findings = list(findings_of(asked, ranks or ranks_of(asked)))
    table = Table("", "", "", show_header=False, box=None)
    for finding in findings:
        table.add_row(
            Text("ok", style="green") if finding.sound else Text("no", style="bold red"), finding.subject, finding.text
        )
    (console or Console(markup=False)).print(table)
    return 0 if all(finding.sound for finding in findings) else 1


def findings_of(asked: Namespace, ranks: int) -> Iterator[Finding]:
    """Base, memory, data, output folder, checkpoint and devices of a parsed `fit`, in this order."""
    base, revision = _base_of(asked)
    yield _finding("base", lambda: _base_text(asked, base, revision))
    yield _finding("memory", lambda: _memory_text(memory_of(asked, base, ranks, revision), asked))
    yield _finding("data", lambda: _data_text(asked, ranks))
    yield _finding("output", lambda: _output_text(Path(asked.out)))
    yield _finding("checkpoint", lambda: _checkpoint_text(asked, base, revision))
    yield _finding("devices", lambda: _device_text(asked, ranks))


def ranks_of(asked: Namespace) -> int:
    """Processes that `fit` would have."""
    if "WORLD_SIZE" in os.environ:
        return int(os.environ["WORLD_SIZE"])
    devices = asked.trainer.devices
    if not isinstance(devices, int) or devices < 1:
        devices = max(1, torch.cuda.device_count())
    return devices * asked.trainer.num_nodes


def _finding(subject: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(subject, True, look())
    except (ValueError, OSError) as error:
        return Finding(subject, False, str(error))


def _base_of(asked: Namespace) -> tuple[str, str | None]:
    """Where the base is, and its revision on the Hub where a router folder names one."""
    options = asked.model.init_args
    if "routers" in options and options.get("base") is None:
        try:
            base = read_config(described_routers(options)).base
        except (ValueError, OSError):
            return options.routers, None
        return base.path, base.revision
    return options.base, None


def _base_text(asked: Namespace, base: str, revision: str | None) -> str:
    found = base_identity(base, revision)
    if "routers" in asked.model.init_args:
        folder = described_routers(asked.model.init_args)
        remedy = "give the right one as --model.init_args.base"
        same_base(read_config(folder).base, found, remedy=remedy, folder=folder, accept=_accepted(asked))
    with loading_from(base):
        check_format(base, revision=found.revision)
        load_tokenizer(base, AutoConfig.from_pretrained(base, revision=found.revision), revision=found.revision)
    options = asked.model.init_args
    layers = options.shadow_layers if "shadow_layers" in options else read_config(folder).shadow_layers
    check_early(base, layers, revision=found.revision)
    return f"{base}, weights {found.sha256[:12]}{f', revision {found.revision[:12]}' if found.revision else ''}"


def _accepted(asked: Namespace) -> bool:
    """Whether another base than the one trained on is taken."""
    return bool(asked.accept_base or asked.model.init_args.get("accept_base"))


def _memory_text(memory: Memory, asked: Namespace) -> str:
    told = f"{memory.resident / 1e6:,.1f} million parameters resident, {memory.trained / 1e6:,.1f} million trained; "
    told += f"at least {memory.bytes / 2**30:.1f} GiB a rank before activations under {asked.trainer.strategy}"
    if torch.cuda.is_available():
        there = torch.cuda.get_device_properties(0).total_memory
        told += f", {there / 2**30:.0f} GiB there"
        if memory.bytes > there:
            raise ValueError(f"{told}: take deepspeed_2 or deepspeed_3, more ranks, or language_model: lora")
    return told


def _data_text(asked: Namespace, ranks: int) -> str:
    module, _, name = asked.data.class_path.rpartition(".")
    data: Any = getattr(importlib.import_module(module), name)(**asked.data.init_args.as_dict())
    a_step = getattr(data, "batches_a_step", None)
    accumulated = asked.trainer.accumulate_grad_batches
    if a_step is not None:
        if a_step % ranks:
            raise ValueError(f"{a_step} batches a step cannot be shared equally by {ranks} ranks")
        accumulated = a_step // ranks
    data.trainer = SimpleNamespace(
        world_size=ranks,
        global_rank=0,
        accumulate_grad_batches=accumulated,
        limit_val_batches=asked.trainer.limit_val_batches,
    )
    data.setup("fit")
    steps = len(data.train_dataloader()) // accumulated
    epochs = asked.trainer.max_epochs or 1
    return (
        f"{data.folder}: {len(data.datasets['train'])} videos to learn from, {len(data.datasets['val'])} to validate on; "
        f"{steps} optimizer steps an epoch on {ranks} ranks, {steps * epochs} in all"
    )


def _output_text(out: Path) -> str:
    there = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    with tempfile.TemporaryFile(dir=there) as file:
        file.write(b"x")
    return f"{out} can be written, {shutil.disk_usage(there).free / 1e9:.0f} GB free"


def _checkpoint_text(asked: Namespace, base: str, revision: str | None) -> str:
    found = resumed_from(asked.resume, Path(last_checkpoint(asked.out)))
    if found is None:
        there = Path(last_checkpoint(asked.out)).exists()
        for path in map(Path, asked.init_from):
            remedy = "take weights over this one for --init-from"
            same_base(base_of(path), base_identity(base, revision), remedy=remedy, accept=_accepted(asked))
        return f"a new training{f' from {len(asked.init_from)} files of weights' if asked.init_from else ''}" + (
            f"; {asked.out} holds one already, which --resume auto would resume" if there else ""
        )
    record = read_record(found)
    remedy = f"resume {found} with the base it was started with"
    same_base(
        BaseModel(**record[RECORD]["base"]), base_identity(base, revision), remedy=remedy, accept=_accepted(asked)
    )
    return f"resumes from {found}, step {record['steps']}"


def _device_text(asked: Namespace, ranks: int) -> str:
    there = torch.cuda.device_count()
    wanted = asked.trainer.devices if isinstance(asked.trainer.devices, int) else 0
    if asked.trainer.accelerator in ("gpu", "cuda") and wanted > there:
        raise ValueError(f"{wanted} GPUs a node are asked for, {there} are here: run this where the training will run")
    return f"{ranks} ranks; {there or 'no'} GPUs here"
