"""A stand-in for Slurm on one machine: runs a batch script as a job of one node, and signals its processes as Slurm does.

What a signal reaches is from Slurm's manuals and source: `--signal=B:` the batch shell alone; a preemption every process of the
step (proctrack/cgroup), not the batch shell; srun passes SIGUSR1 to the step, and answers its own SIGTERM with SIGKILL to the step.
"""

import os
import random
import signal
import socket
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from pathlib import Path

from tests.train.ranks import ROOT

SCRIPT = ROOT / "examples" / "slurm" / "train.sbatch"
SRUN = """#!{python}
import os, signal, subprocess, sys
sys.path.insert(0, {root!r})
from tests.train.slurm import processes
command = [word for word in sys.argv[1:] if not word.startswith("--kill-on-bad-exit")]
def tell(number):
    for pid in processes(os.environ["REHEARSAL"], step=True):
        os.kill(pid, number)
task = subprocess.Popen(command, env=os.environ | {{"SLURM_STEP_ID": "0"}}, start_new_session=True)
signal.signal(signal.SIGUSR1, lambda number, frame: tell(number))
signal.signal(signal.SIGTERM, lambda number, frame: tell(signal.SIGKILL))
sys.exit(task.wait() % 256)
"""
SCONTROL = """#!/bin/sh
case "$1" in
show) echo 127.0.0.1 ;;
requeue) echo "$2" >> "$REQUEUED" ;;
esac
"""


class Slurm:
    """A cluster of one node; commands and what was asked of it lie in `folder`."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.commands, self.requeued = folder / "bin", folder / "requeued"
        self.commands.mkdir(parents=True)
        for name, text in (("srun", SRUN.format(python=sys.executable, root=str(ROOT))), ("scontrol", SCONTROL)):
            (self.commands / name).write_text(text)
            (self.commands / name).chmod(0o755)
        self.environment = environment

    def start(self, arguments: list[str], log: Path, restarts: int = 0) -> "Job":
        """The batch script, as one start of the job; `restarts` have been before it."""
        token = uuid.uuid4().hex
        path = f"{self.commands}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        told = {
            "REHEARSAL": token, "REQUEUED": str(self.requeued), "PATH": path, "PYTHONPATH": str(ROOT),
            "SLURM_JOB_ID": str(job_number()), "SLURM_JOB_NODELIST": "node", "SLURM_JOB_NUM_NODES": "1",
            "SLURM_GPUS_ON_NODE": "2", "SLURM_RESTART_COUNT": str(restarts), "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore",
        }  # fmt: skip
        with log.open("wb") as file:
            shell = subprocess.Popen(
                ["bash", str(SCRIPT), *arguments], cwd=ROOT, stdout=file, stderr=file, start_new_session=True,
                env=os.environ | told | self.environment,
            )  # fmt: skip
        return Job(shell, token, log)

    def requeues(self) -> int:
        """How often a script asked for it."""
        return len(self.requeued.read_text().split()) if self.requeued.exists() else 0


class Job:
    """One start of a job."""

    def __init__(self, shell: "subprocess.Popen[bytes]", token: str, log: Path) -> None:
        self.shell, self.token, self.log = shell, token, log

    def time_limit(self, notice: float) -> int:
        """`--signal=B:USR1@notice`; the job is to end by itself within so many seconds. Its exit code."""
        self.shell.send_signal(signal.SIGUSR1)
        return self.shell.wait(timeout=notice)

    def preempt(self, grace: float) -> int:
        """SIGCONT and SIGTERM to the step, which is to end within `grace` seconds. The job's exit code."""
        for number in (signal.SIGCONT, signal.SIGTERM):
            tell(self.token, number, step=True)
        return self.shell.wait(timeout=grace)

    def node_fails(self) -> int:
        """Every process ends at once."""
        while processes(self.token):
            tell(self.token, signal.SIGKILL)
            time.sleep(0.01)
        return self.shell.wait()

    def left(self, seconds: float = 5.0) -> list[int]:
        """Processes of the job that are still there after so many seconds."""
        until = time.monotonic() + seconds
        while (there := processes(self.token)) and time.monotonic() < until:
            time.sleep(0.05)
        return there


def job_number() -> int:
    """One whose port for the rendezvous, as the script takes it, is free."""
    while True:
        number = random.randrange(20_000, 40_000)
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", number))
            return number


def tell(token: str, number: signal.Signals, step: bool = False) -> None:
    for pid in processes(token, step):
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def processes(token: str, step: bool = False) -> list[int]:
    """Of a job by what their environment began with, whoever their parents are now; `step` leaves out batch shell and srun."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            environment = (folder / "environ").read_bytes().split(b"\0")
            zombie = b"State:\tZ" in (folder / "status").read_bytes()
            ours = f"REHEARSAL={token}".encode() in environment and not zombie
            if ours and (not step or b"SLURM_STEP_ID=0" in environment):
                found.append(int(folder.name))
    return found
