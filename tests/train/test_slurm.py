"""The Slurm script: a job that is told to leave saves, is queued again and resumes; one that fails by itself is not."""

import json
import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.train.ranks import apart, command, losses, stages
from tests.train.slurm import SCRIPT, Job, Slurm, processes
from videorouter.routers.checkpoints.trained_file import read_record

TORCHRUN = """#!/bin/bash
# What torchrun does of all this, in place of a training.
mkdir -p "$OUT/checkpoints"
trap 'touch "$OUT/checkpoints/left-when-told"; exit 1' USR1 TERM
touch "$OUT/begun"
{does}
"""
SIGNALS = 10


def job(tmp_path: Path, does: str, restarts: int = 0) -> tuple[Slurm, Job]:
    """The script around a torchrun that only `does` so much, once that has begun."""
    slurm = Slurm(tmp_path / "slurm", OUT=str(tmp_path / "out"), MAX_REQUEUES="3")
    (slurm.commands / "torchrun").write_text(TORCHRUN.format(does=does))
    (slurm.commands / "torchrun").chmod(0o755)
    started = slurm.start([], tmp_path / "log", restarts)
    while not (tmp_path / "out" / "begun").exists():
        time.sleep(0.02)
    return slurm, started


WAITS = "while :; do sleep 0.05; done"


def test_a_job_that_is_told_of_its_time_limit_is_queued_again(tmp_path: Path) -> None:
    slurm, started = job(tmp_path, WAITS)
    assert started.time_limit(10) == 0
    assert slurm.requeues() == 1
    assert not started.left()


def test_a_job_whose_step_alone_is_told_is_queued_again(tmp_path: Path) -> None:
    slurm, started = job(tmp_path, WAITS)
    started.preempt(10)
    assert slurm.requeues() == 1


def test_a_job_that_fails_by_itself_is_not_queued_again(tmp_path: Path) -> None:
    (tmp_path / "out" / "checkpoints").mkdir(parents=True)
    (tmp_path / "out" / "checkpoints" / "left-when-told").touch()  # of an earlier start
    slurm, started = job(tmp_path, "exit 7")
    assert started.shell.wait(10) == 7
    assert slurm.requeues() == 0
    assert "failed by itself, with exit code 7" in (tmp_path / "log").read_text()


def test_a_job_that_is_cancelled_is_not_queued_again(tmp_path: Path) -> None:
    slurm, started = job(tmp_path, WAITS)
    started.shell.terminate()  # scancel signals the batch shell too
    assert started.shell.wait(10) == -signal.SIGTERM
    started.node_fails()
    assert slurm.requeues() == 0


def test_a_job_that_is_done_is_not_queued_again(tmp_path: Path) -> None:
    slurm, started = job(tmp_path, "exit 0")
    assert started.shell.wait(10) == 0
    assert slurm.requeues() == 0


def test_a_job_is_queued_again_so_often_and_no_oftener(tmp_path: Path) -> None:
    slurm, started = job(tmp_path, WAITS, restarts=3)
    assert started.time_limit(10) == 1
    assert slurm.requeues() == 0
    assert "queued again 3 times already" in (tmp_path / "log").read_text()


def test_the_script_asks_slurm_for_the_notice_that_it_heeds() -> None:
    text = SCRIPT.read_text(encoding="utf-8")
    notice = re.search(r"--signal=B:USR1@(\d+)", text)
    grace = re.search(r"--shutdown-timeout (\d+)", text)
    assert notice is not None
    assert grace is not None
    assert int(grace[1]) < int(notice[1]), "torchrun kills its ranks before Slurm would"
    subprocess.run(["bash", "-n", str(SCRIPT)], check=True)


def asked(folder: Path) -> list[int]:
    """Steps of which some microbatch was begun."""
    rows = [line for path in folder.glob("asked-*.jsonl") for line in path.read_text().splitlines()]
    return [json.loads(row)["step"] for row in rows]


def end_by(way: str, started: Job) -> None:
    """Slurm's way to end a job, which is to leave within the notice or grace."""
    if way == "time limit":
        assert started.time_limit(120) == 0
    elif way == "preemption":
        assert started.preempt(120) == 0
    else:
        started.node_fails()


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("way", ["time limit", "preemption", "node failure"])
def test_nothing_is_lost_but_the_step_under_way(
    way: str, base: Path, router: Path, flr: Path, qtr: Path, tmp_path: Path
) -> None:
    stage, out = stages(base, router, flr, qtr)["image_router"], tmp_path / "out"
    options = [
        "--model.init_args.cache_features",
        "false",
        "--data.init_args.workers",
        "2",
        "--trainer.strategy",
        "ddp",
    ]
    options += ["--trainer.max_epochs", "20"]
    every = ["--last.every_n_train_steps", "1", "--last.save_on_train_epoch_end", "false"]
    slurm, moments = Slurm(tmp_path / "slurm", OUT=str(out)), random.Random(way)

    def start(number: int) -> Job:
        told = command(
            stage, out, *options, *(every if way == "node failure" else []), "--trace.folder", str(traces(number))
        )
        return slurm.start(told[1:], tmp_path / f"{number}.log", restarts=number)

    def traces(number: int) -> Path:
        return tmp_path / "asked" / str(number)

    saved = 0
    for number in range(SIGNALS):
        started, wanted = start(number), saved + moments.randrange(1, 4)
        while max(asked(traces(number)), default=-1) < wanted:
            assert started.shell.poll() is None, started.log.read_text(errors="replace")[-3000:]
            time.sleep(0.02)
        time.sleep(moments.uniform(0, 0.3))
        end_by(way, started)
        assert not started.left(), started.log.read_text(errors="replace")[-3000:]
        assert slurm.requeues() == (0 if way == "node failure" else number + 1)
        steps = asked(traces(number))
        assert min(steps) == saved, "it resumed where it left"
        saved = int(read_record(out / "checkpoints" / "last.ckpt")["steps"])
        assert saved == max(steps) + 1 or (way == "node failure" and saved == max(steps))
        assert not list(out.rglob(".*.unfinished")) or way == "node failure"
    last = start(SIGNALS)
    assert last.shell.wait(timeout=600) == 0, last.log.read_text(errors="replace")[-3000:]
    assert not last.left()
    whole = Slurm(tmp_path / "undisturbed", OUT=str(tmp_path / "whole"))
    undisturbed = whole.start(command(stage, tmp_path / "whole", *options)[1:], tmp_path / "whole.log")
    assert undisturbed.shell.wait(timeout=600) == 0, (tmp_path / "whole.log").read_text(errors="replace")[-3000:]
    both = [folder / "checkpoints" / "last.ckpt" for folder in (out, tmp_path / "whole")]
    assert read_record(both[0])["steps"] == read_record(both[1])["steps"] == 40
    print(f"{way}: weights {apart(*both)} apart")
    assert apart(*both) <= 1e-4
    if way != "node failure":
        assert losses(out) == pytest.approx(losses(tmp_path / "whole"), rel=1e-4)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ranks_and_their_workers_end_with_a_torchrun_that_is_killed(
    base: Path, router: Path, flr: Path, qtr: Path, tmp_path: Path
) -> None:
    stage, out = stages(base, router, flr, qtr)["image_router"], tmp_path / "out"
    options = ["--data.init_args.workers", "2", "--model.init_args.cache_features", "false", "--trace.folder"]
    slurm = Slurm(tmp_path / "slurm", OUT=str(out))
    started = slurm.start(command(stage, out, *options, str(tmp_path / "asked"))[1:], tmp_path / "log")
    while not asked(tmp_path / "asked"):
        assert started.shell.poll() is None, started.log.read_text(errors="replace")[-3000:]
        time.sleep(0.05)
    there = processes(started.token, step=True)
    assert len(there) >= 5, "torchrun, two ranks, a worker each at least"
    (torchrun,) = (pid for pid in there if b"torchrun" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(torchrun, signal.SIGKILL)
    assert started.shell.wait(timeout=60) != 0
    assert not started.left()
    assert slurm.requeues() == 0
