"""A training that is told to leave saves first, and resumes from there as if nothing had happened."""

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.train.ranks import apart, command, losses, stages, start
from videorouter.routers.checkpoints.trained_file import read_record
from videorouter.train.__main__ import main
from videorouter.train.preemption import EXIT_CODE


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGUSR1, marks=pytest.mark.slow)])
def test_a_signal_to_one_rank_saves_and_ends_all(
    number: signal.Signals, base: Path, router: Path, flr: Path, qtr: Path, tmp_path: Path
) -> None:
    stage, out = stages(base, router, flr, qtr)["image_router"], tmp_path / "told"
    slow = ("--model.init_args.cache_features", "false", "--trace.folder", str(tmp_path / "asked"))
    process = start(2, command(stage, out, *slow, "--trainer.strategy", "ddp"), tmp_path / "told.log")
    asked = tmp_path / "asked" / "asked-1.jsonl"
    deadline = time.monotonic() + 200
    while not (asked.exists() and asked.read_text().count("\n") >= 4):
        ended = process.poll() is not None or time.monotonic() > deadline
        assert not ended, (tmp_path / "told.log").read_text()[-3000:]
        time.sleep(0.05)
    ranks = [one for one in psutil.Process(process.pid).children() if "train" in one.cmdline()]
    os.kill(ranks[-1].pid, number)
    assert process.wait(timeout=200) != 0
    assert f"exitcode  : {EXIT_CODE}" in (tmp_path / "told.log").read_text()
    steps = read_record(out / "checkpoints" / "last.ckpt")["steps"]
    assert 0 < steps < 20
    assert not list(out.rglob(".*.unfinished"))
    assert main(command(stage, out, "--resume", "auto")) == 0
    assert main(command(stage, tmp_path / "whole")) == 0
    assert losses(out) == pytest.approx(losses(tmp_path / "whole"), rel=1e-4)
    last = [folder / "checkpoints" / "last.ckpt" for folder in (out, tmp_path / "whole")]
    assert apart(*last) <= 1e-3
