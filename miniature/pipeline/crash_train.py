"""Kills a training of the miniature again and again, resumes it with other strategies and numbers of ranks, and compares."""

import json
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from typing import Literal

import psutil
from rich.console import Console
from rich.progress import track

from videorouter.miniature.pipeline.stages import StageFailed, quiet_environment
from videorouter.routers.checkpoints.trained_file import STATE, TrainedFileError, read_record, read_tensors
from videorouter.shards.sidecar import finished_manifest
from videorouter.train.logs.trace import asked_by_step

STARTS: tuple[str, ...] = ("ddp*2", "auto*1", "deepspeed_2*4", "deepspeed_3*2")
"""Strategy and ranks of one start after another; every step's batches are shared by 1, 2 or 4 ranks."""
BATCHES_A_STEP = 4
TOLERANCE = 1e-4
"""Largest difference of a weight from the undisturbed run's: sums over ranks round differently."""
FIRST_STEP, LAST_STEP = 300.0, 600.0
"""Seconds until a start has saved something new, and until it has ended, before it counts as hanging."""


def crash_train(
    out: Path,
    flr: Path,
    base: Path,
    kills: int = 8,
    epochs: int = 8,
    stage: Literal["image_router"] = "image_router",
    starts: Sequence[str] = STARTS,
    batch_size: int = 8,
    seed: int = 0,
) -> None:
    """Kill a training with all its ranks at random steps; exit code 1 where questions or weights differ from an undisturbed one's.

    Args:
        out: Folder of both trainings and `crash-train.json`; begun anew.
        flr: Video-FLR shards to train on.
        base: Base model.
        kills: Kills; after the last one the training may end.
        epochs: Of both trainings.
        stage: Config under configs/miniature.
        starts: STRATEGY*RANKS of one start after another, again and again.
        batch_size: Questions of a batch, of which a step takes four.
        seed: Of the moments.
    """
    finished_manifest(flr)
    shutil.rmtree(out, ignore_errors=True)
    training = _Training(out, flr, base, stage, epochs, batch_size)
    undisturbed = training.undisturbed()
    moments, kinds = random.Random(seed), cycle(starts)
    for number in track(range(kills), "kills", console=Console(markup=False, stderr=True)):
        training.kill_after(next(kinds), number, moments.uniform(0, 1.5))
    steps = training.finish(next(kinds), kills)
    result = training.result(undisturbed, steps, kills)
    (out / "crash-train.json").write_text(json.dumps(result, indent=2))
    for name, value in result.items():
        Console(markup=False, soft_wrap=True).print(f"{name}: {value}")
    if not result["held"]:
        sys.exit(1)


class _Training:
    """One training that is killed and resumed, beside one that is not."""

    def __init__(self, out: Path, flr: Path, base: Path, stage: str, epochs: int, batch_size: int) -> None:
        self.out = out
        self.options = [
            "fit", "--config", f"configs/miniature/{stage}.yaml", "--model.init_args.base", str(base.resolve()),
            "--data.init_args.shards", str(flr.resolve()), "--data.init_args.batch_size", str(batch_size),
            "--data.init_args.questions_per_item", str(min(4, batch_size)), "--data.init_args.batches_a_step", str(BATCHES_A_STEP),
            "--trainer.max_epochs", str(epochs), "--trainer.limit_val_batches", "0", "--resume", "auto",
            "--last.every_n_train_steps", "1", "--last.save_on_train_epoch_end", "false",
            "--model.init_args.cache_features", "false",
        ]  # fmt: skip
        self.traces: list[Path] = []

    def undisturbed(self) -> Path:
        """The last checkpoint of a training that nobody kills."""
        process = self._start("auto*1", self.out / "undisturbed", self.out / "asked" / "undisturbed")
        _ended(process, f"the undisturbed training failed: see {self.out / 'undisturbed.log'}")
        return self.out / "undisturbed" / "checkpoints" / "last.ckpt"

    def kill_after(self, kind: str, number: int, seconds: float) -> None:
        """Start, wait until a step more is saved and so many seconds, and kill all of it."""
        before, process = self._saved(), self._next(kind, number)
        deadline = time.monotonic() + FIRST_STEP
        while self._saved() == before and process.poll() is None:
            if time.monotonic() > deadline:
                kill_with_workers(process)
                raise StageFailed(f"start {number} ({kind}) saved nothing in {FIRST_STEP:.0f} s")
            time.sleep(0.05)
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            kill_with_workers(process)

    def finish(self, kind: str, number: int) -> int:
        """Let it end; the steps it took in all."""
        _ended(self._next(kind, number), f"the last start failed: see {self.out / f'start-{number:03}.log'}")
        return self._saved()

    def result(self, undisturbed: Path, steps: int, kills: int) -> dict[str, object]:
        """Whether the same questions were asked at every step, and how far the weights are apart."""
        mine = read_tensors(self.out / "killed" / "checkpoints" / "last.ckpt", STATE)
        wanted = read_tensors(undisturbed, STATE)
        apart = max(float((mine[name] - wanted[name]).abs().max()) for name in wanted)
        alone = asked_by_step([self.out / "asked" / "undisturbed"])
        together = asked_by_step(self.traces)
        unlike = [step for step in alone if alone[step] != together.get(step)]
        left = [path.name for path in (self.out / "killed").rglob(".*.unfinished")]
        return {
            "kills": kills,
            "steps": steps,
            "steps of the undisturbed training": read_record(undisturbed)["steps"],
            "steps with other questions": unlike,
            "largest difference of a weight": apart,
            "unfinished files left": left,
            "held": not unlike and not left and apart <= TOLERANCE and steps == read_record(undisturbed)["steps"],
        }

    def _next(self, kind: str, number: int) -> subprocess.Popen[bytes]:
        self.traces.append(self.out / "asked" / f"start-{number:03}")
        return self._start(kind, self.out / "killed", self.traces[-1])

    def _start(self, kind: str, out: Path, asked: Path) -> subprocess.Popen[bytes]:
        strategy, _, ranks = kind.partition("*")
        command = [
            sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", ranks, "--master_port", str(_free_port()),
            "-m", "videorouter.train", *self.options,
            "--trainer.strategy", strategy, "--out", str(out), "--trace.folder", str(asked),
        ]  # fmt: skip
        self.out.mkdir(parents=True, exist_ok=True)
        with (self.out / f"{asked.name}.log").open("wb") as log:
            return subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True,
                env=quiet_environment() | {"OMP_NUM_THREADS": "1"},
            )  # fmt: skip

    def _saved(self) -> int:
        """Steps of the newest checkpoint; 0 before there is one."""
        try:
            return int(read_record(self.out / "killed" / "checkpoints" / "last.ckpt")["steps"])
        except TrainedFileError:
            return 0


def _ended(process: "subprocess.Popen[bytes]", otherwise: str) -> None:
    if process.wait(timeout=LAST_STEP) != 0:
        raise StageFailed(otherwise)


def kill_with_workers(process: "subprocess.Popen[bytes]") -> None:
    """SIGKILL to torchrun and its ranks: those are in groups of their own and would train on without it."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    process.wait()
    psutil.wait_procs(family[1:], timeout=30)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
