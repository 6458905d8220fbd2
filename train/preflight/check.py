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
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, TypeVar

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
from videorouter.routers.cost.head import read_checkpoint
from videorouter.train.checkpoints.initial_weights import base_of
from videorouter.train.cli import last_checkpoint, parse, resumed_from
from videorouter.train.logs.throughput import PEAK_FLOPS
from videorouter.train.preflight.step_cost import described_routers, stage_of, step_of
from videorouter.train.preflight.strategy_memory import Memory, memory_of

USED: Final = 0.4
"""Of a GPU's peak, where hours are told: what a training that is fed well reaches (our guess until measured)."""


T = TypeVar("T")


@dataclass(frozen=True)
class Finding:
    """One thing looked at: what was found, or what is wrong and what to do."""

    subject: str
    sound: bool
    text: str


@dataclass(frozen=True)
class Machines:
    """What the training will run on, where that is not this machine: processes in all, and GB of each GPU."""

    ranks: int | None = None
    gpu_memory: float | None = None


def check(arguments: list[str], machines: Machines | None = None, console: Console | None = None) -> int:
    """Look at everything `fit` with these arguments would need, print it; exit code 1 where something would stop it.

    Ranks are counted from torchrun's environment, or `trainer.devices` and `trainer.num_nodes`, where `machines` does not say.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning would rather read the command line itself
        asked = parse(["fit", *arguments, "--seed_everything", "false"]).fit
    findings = list(findings_of(asked, machines or Machines()))
    table = Table("", "", "", show_header=False, box=None)
    for finding in findings:
        table.add_row(
            Text("ok", style="green") if finding.sound else Text("no", style="bold red"), finding.subject, finding.text
        )
    (console or Console(markup=False)).print(table)
    return 0 if all(finding.sound for finding in findings) else 1


def findings_of(asked: Namespace, machines: Machines) -> Iterator[Finding]:
    """Base, memory, data, time, output folder, checkpoint and devices of a parsed `fit`, in this order."""
    base, revision = _base_of(asked)
    ranks, there = machines.ranks or ranks_of(asked), _gpu_bytes(machines)
    yield _finding("base", lambda: _base_text(asked, base, revision))
    gpu = True if machines.gpu_memory else None
    memory = _found("memory", lambda: memory_of(asked, base, ranks, revision, gpu=gpu))
    if isinstance(memory, Finding):
        yield memory
    else:
        yield _finding("memory", partial(_memory_text, memory, asked, there))
    plan = _found("data", lambda: _plan(asked, ranks))
    if isinstance(plan, Finding):
        yield plan
    else:
        yield Finding("data", True, plan.text)
        yield _finding("time", partial(_time_text, asked, base, revision, plan.steps, ranks))
    yield _finding("output", lambda: _output_text(asked, None if isinstance(memory, Finding) else memory))
    yield _finding("checkpoint", lambda: _checkpoint_text(asked, base, revision))
    elsewhere = machines.gpu_memory is not None
    yield _finding("devices", lambda: _device_text(asked, ranks, elsewhere))


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


def _found(subject: str, look: Callable[[], T]) -> T | Finding:
    """What `look` gives, or what is wrong with the subject."""
    try:
        return look()
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


def _gpu_bytes(machines: Machines) -> float | None:
    """Of each GPU; None where there is none and none is named."""
    if machines.gpu_memory is not None:
        return machines.gpu_memory * 1e9
    return torch.cuda.get_device_properties(0).total_memory if torch.cuda.is_available() else None


def _memory_text(memory: Memory, asked: Namespace, there: float | None) -> str:
    told = f"{memory.resident / 1e6:,.1f} million parameters resident, {memory.trained / 1e6:,.1f} million trained; "
    parts = ", ".join(f"{name} {bytes_ / 1e9:.1f}" for name, bytes_ in memory.parts.items() if bytes_)
    told += f"about {memory.bytes / 1e9:.1f} GB a rank under {asked.trainer.strategy} ({parts}"
    told += ")" if "activations" in memory.parts else "; activations of this family are not known)"
    if there is None:
        return told
    told += f" of {there / 1e9:.0f} GB"
    if memory.bytes > there:
        raise ValueError(
            f"{told}: take deepspeed_2 or deepspeed_3, more ranks, smaller batches, or language_model: lora"
        )
    return told


@dataclass(frozen=True)
class _Plan:
    """Optimizer steps in all, and what there is to say about the data."""

    steps: int
    text: str


def _plan(asked: Namespace, ranks: int) -> _Plan:
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
    in_all = steps * (asked.trainer.max_epochs or 1)
    text = (
        f"{data.folder}: {len(data.datasets['train'])} videos to learn from, {len(data.datasets['val'])} to validate on; "
        f"{steps} optimizer steps an epoch on {ranks} ranks, {in_all} in all"
    )
    return _Plan(min([in_all, *([asked.trainer.max_steps] if asked.trainer.max_steps > 0 else [])]), text)


def _time_text(asked: Namespace, base: str, revision: str | None, steps: int, ranks: int) -> str:
    step = step_of(asked, read_checkpoint(base, revision=revision).config)
    if step is None:
        return f"{steps} optimizer steps; FLOPs of this family are not known"
    batches = steps * (asked.data.init_args.batches_a_step or ranks)
    whole = asked.model.init_args.get("language_model") == "full"
    hours = batches * step.operations(stage_of(asked), whole=whole) / (USED * PEAK_FLOPS["H100"]) / 3600
    return (
        f"{steps} optimizer steps in all: {hours:,.1f} hours of an H100 at {USED:.0%} of its bfloat16 peak, "
        f"{hours / ranks:,.1f} on {ranks} ranks (computed; validation and waiting for data come on top)"
    )


def _output_text(asked: Namespace, memory: Memory | None) -> str:
    out = Path(asked.out)
    there = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    with tempfile.TemporaryFile(dir=there) as file:
        file.write(b"x")
    free = shutil.disk_usage(there).free
    told = f"{out} can be written, {free / 1e9:.0f} GB free"
    if memory is None:
        return told
    best = asked.checkpoint.save_top_k
    kept = max(best, 0) + 1  # and the newest one
    needed = (kept + 1) * memory.checkpoint
    told += f"; a checkpoint takes {memory.checkpoint / 1e9:.2f} GB"
    told += ", and all are kept" if best < 0 else f", {kept} are kept and one is being written: {needed / 1e9:.2f} GB"
    if needed > free:
        raise ValueError(f"{told}: make room, choose another --out, or keep fewer (--checkpoint.save_top_k)")
    return told


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


def _device_text(asked: Namespace, ranks: int, elsewhere: bool) -> str:
    there = torch.cuda.device_count()
    wanted = asked.trainer.devices if isinstance(asked.trainer.devices, int) else 0
    if elsewhere:
        return f"{ranks} ranks, on other GPUs than this machine's {there or 'none'}"
    if asked.trainer.accelerator in ("gpu", "cuda") and wanted > there:
        raise ValueError(
            f"{wanted} GPUs a node are asked for, {there} are here: run this where the training will run, or say --gpu-memory"
        )
    return f"{ranks} ranks; {there or 'no'} GPUs here"
