"""Trainings of the miniature in real torchrun processes, and what they left."""

import csv
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from tests.warm.commands import warm_commands
from tests.warm.process import WarmProcess
from videorouter.routers.checkpoints.trained_file import STATE, read_tensors

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Stage:
    """A shipped config and the options that let it learn from a small world: whole steps of `BATCHES` batches."""

    config: str
    options: tuple[str, ...]


BATCHES = ("--data.init_args.batches_a_step", "4")


def stages(base: Path, router: Path, flr: Path, qtr: Path) -> dict[str, Stage]:
    """All three, at about 20 steps."""
    few = ("--data.init_args.questions_per_item", "2")
    return {
        "image_router": Stage(
            "image_router",
            ("--model.init_args.base", str(base), "--data.init_args.shards", str(flr), *few,
             "--data.init_args.batch_size", "2", "--trainer.max_epochs", "10"),
        ),
        "semantic_router": Stage(
            "semantic_router",
            ("--model.init_args.base", str(base), "--data.init_args.shards", str(qtr),
             "--data.init_args.batch_size", "1", "--trainer.max_epochs", "6"),
        ),
        "joint": Stage(
            "joint",
            ("--model.init_args.routers", str(router), "--data.init_args.shards", str(flr), *few,
             "--data.init_args.more_labels", str(qtr), "--data.init_args.batch_size", "2", "--trainer.max_epochs", "7"),
        ),
    }  # fmt: skip


def command(stage: Stage, out: Path, *options: str) -> list[str]:
    """Arguments of `videorouter train`."""
    return [
        "fit", "--config", f"miniature/{stage.config}", *stage.options, *BATCHES, "--out", str(out),
        "--trainer.limit_val_batches", "0", "--trainer.log_every_n_steps", "1", *options,
    ]  # fmt: skip


def semantic_steps(base: Path, router: Path, flr: Path, qtr: Path, batches: int, *options: str) -> list[str]:
    """Arguments of a stage 2 on this process, epochs of `batches` batches, four of which are a step."""
    stage = stages(base, router, flr, qtr)["semantic_router"]
    return [
        "fit", "--config", f"miniature/{stage.config}", *stage.options, *BATCHES, "--trainer.limit_train_batches", str(batches),
        *options,
    ]  # fmt: skip


def start(ranks: int, arguments: list[str], log: Path) -> WarmProcess:
    """torchrun in a session of its own."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu", "PYTHONWARNINGS": "ignore"}
    torchrun = ["-m", "torch.distributed.run", "--nproc_per_node", str(ranks), "--master_port", str(free_port())]
    with log.open("wb") as file:
        warm = warm_commands()
        command = [*torchrun, "-m", "train", *arguments]
        return warm.start(command, ROOT, environment, file, file, session=True, executable=warm.python)


def fit_on(ranks: int, stage: Stage, out: Path, *options: str) -> Path:
    """Train to the end; the last checkpoint."""
    log = out.with_suffix(".log")
    code = start(ranks, command(stage, out, *options), log).wait(timeout=800)
    assert code == 0, log.read_text(errors="replace")[-3000:]
    return out / "checkpoints" / "last.ckpt"


def losses(out: Path) -> list[float]:
    """The loss of every optimizer step, over all logs of a training."""
    by_step: dict[int, float] = {}
    for file in sorted(out.glob("csv/version_*/metrics.csv")):
        with file.open() as lines:
            by_step |= {
                int(row["step"]): float(row["train/loss"]) for row in csv.DictReader(lines) if row.get("train/loss")
            }
    return [by_step[step] for step in sorted(by_step)]


def apart(first: Path, second: Path) -> float:
    """The largest difference of a trained weight between two checkpoints."""
    mine, other = read_tensors(first, STATE), read_tensors(second, STATE)
    assert mine.keys() == other.keys()
    return max(_apart(mine[name], other[name]) for name in mine)


def _apart(first: Tensor, second: Tensor) -> float:
    return float((first.float() - second.float()).abs().max())


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
