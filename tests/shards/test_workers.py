"""Loader workers outlast a signal that a scheduler sends to every process of a job, and never their parent."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.shards.samples import sample, write_dataset
from tests.shards.test_loader import ROOT, loader_of

READS = """
import multiprocessing, sys, time
from pathlib import Path
from tests.shards.test_loader import loader_of
reading = iter(loader_of(Path(sys.argv[1]), workers=2))
next(reading)
print(*[process.pid for process in multiprocessing.active_children()], flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    videos = [sample(f"v{number:02}", frames=2, seed=number, questions=2) for number in range(24)]
    return write_dataset(tmp_path_factory.mktemp("data"), {"train-0": videos})


def children() -> set[int | None]:
    """Processes of this one, those of other tests' fixtures among them."""
    return {process.pid for process in multiprocessing.active_children()}


def test_a_signal_to_every_process_takes_no_worker_from_the_step(data: Path) -> None:
    wanted, loader, others = list(loader_of(data)), loader_of(data, workers=2), children()
    reading = iter(loader)
    read = [next(reading)]
    workers = children() - others
    assert len(workers) == 2
    for name in ("TERM", "USR1", "TERM"):  # from another process than the parent
        subprocess.run(["kill", f"-{name}", *map(str, workers)], check=True)
        time.sleep(0.2)
        read.append(next(reading))
    assert read + list(reading) == wanted
    assert children() == others


def test_a_parent_can_end_its_workers(data: Path) -> None:
    others, reading = children(), iter(loader_of(data, workers=2))
    next(reading)
    for process in (one for one in multiprocessing.active_children() if one.pid not in others):
        process.terminate()
        process.join(5)
        assert process.exitcode == 0


def test_the_parent_itself_heeds_signals_as_before(data: Path) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    next(iter(loader_of(data, workers=1)))
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_workers_end_with_a_parent_that_is_killed(data: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", READS, str(data)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    workers = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(workers) == 2
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 2
    while any(map(running, workers)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(running, workers))


def running(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text() and os.path.exists(f"/proc/{pid}")
    except OSError:
        return False
