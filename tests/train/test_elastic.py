"""A node that is lost with all its workers does not end a training, and one that comes back takes part again."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.train.ranks import ROOT, apart, command, free_port, stages
from videorouter.miniature.pipeline.crash_train import kill_with_workers
from videorouter.routers.checkpoints.trained_file import TrainedFileError, read_record
from videorouter.train.__main__ import main


def agent(port: int, host: bool, arguments: list[str], log: Path) -> "subprocess.Popen[bytes]":
    """torchrun of one node; the rendezvous is held by the `host`."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu", "PYTHONWARNINGS": "ignore"}
    environment["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"  # with a shared store torchrun lets nobody rejoin
    torchrun = [
        "-m", "torch.distributed.run", "--nnodes", "1:2", "--nproc_per_node", "1", "--max_restarts", "20",
        "--rdzv_backend", "c10d", "--rdzv_endpoint", f"127.0.0.1:{port}", "--rdzv_id", "elastic",
        "--rdzv_conf", f"is_host={int(host)},last_call_timeout=3", "--local_addr", "127.0.0.1", "--monitor_interval", "0.5",
    ]  # fmt: skip
    with log.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, *torchrun, "-m", "videorouter.train", *arguments],
            stdout=file, stderr=file, start_new_session=True, env=environment, cwd=ROOT,
        )  # fmt: skip


def until(condition: Callable[[], bool], seconds: float, log: Path) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, log.read_text(errors="replace")[-4000:]
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_survivor_goes_on_alone_and_a_returning_node_rejoins(
    base: Path, router: Path, flr: Path, qtr: Path, tmp_path: Path
) -> None:
    stage, out, port = stages(base, router, flr, qtr)["image_router"], tmp_path / "out", free_port()
    every = ("--last.every_n_train_steps", "1", "--last.save_on_train_epoch_end", "false", "--trainer.max_epochs", "40")
    slow = ("--model.init_args.cache_features", "false", "--resume", "auto", "--trace.folder", str(tmp_path / "asked"))
    arguments, log = command(stage, out, *every, *slow, "--trainer.strategy", "ddp"), tmp_path / "survivor.log"

    def steps() -> int:
        try:
            return int(read_record(out / "checkpoints" / "last.ckpt")["steps"])
        except TrainedFileError:
            return 0

    def second_rank_rows() -> int:
        path = tmp_path / "asked" / "asked-1.jsonl"
        return path.read_text().count("\n") if path.exists() else 0

    survivor = agent(port, True, arguments, log)
    other = agent(port, False, arguments, tmp_path / "other.log")
    until(lambda: second_rank_rows() >= 4, 200, log)
    kill_with_workers(other)
    lost_at, rows = steps(), second_rank_rows()
    until(lambda: steps() >= lost_at + 3, 200, log)
    assert survivor.poll() is None
    assert second_rank_rows() == rows, "it went on alone"
    returned = agent(port, False, arguments, tmp_path / "returned.log")
    until(lambda: second_rank_rows() >= rows + 2, 300, log)
    assert survivor.wait(timeout=400) == 0, log.read_text(errors="replace")[-4000:]
    returned.wait(timeout=60)
    assert main([*command(stage, tmp_path / "whole", *every, "--model.init_args.cache_features", "true")]) == 0
    last = [folder / "checkpoints" / "last.ckpt" for folder in (out, tmp_path / "whole")]
    assert steps() == read_record(last[1])["steps"]
    assert apart(*last) <= 1e-3
