"""Kills a build of the miniature again and again with SIGKILL, and compares the result with an undisturbed one.

The teacher fails in the ways it is told, outlives the killed builds, and counts what it answered: that is what is paid.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.progress import track

from videorouter.data_builders.building.ledger import DOUBTS
from videorouter.miniature.pipeline.stages import running_teacher
from videorouter.miniature.world.build import build_world
from videorouter.shards.reader import ShardDataset
from videorouter.shards.verify import verify

MARK = "VIDEOROUTER_CRASH_TEST"
CONCURRENCY = 8
Builder = Literal["annotate", "generate", "qtr"]
FAULTS = (
    "--malformed", "0.1", "--truncated", "0.05", "--wrong-schema", "0.05", "--rate-limit", "0.05", "--server-error", "0.05",
)  # fmt: skip
SHARED_MEMORY = Path("/dev/shm")


def crash_test(
    out: Path,
    kills: int = 100,
    videos: int = 24,
    workers: int = 2,
    builder: Builder = "annotate",
    seed: int = 0,
) -> None:
    """Kill a build's process group at random moments; exit code 1 where anything is lost, doubled or left behind.

    Args:
        out: Folder of the world, the builds and `crash-test.json`; begun anew.
        kills: Kills; a build that ends before its kill is compared with the undisturbed one, and another is begun.
        videos: Videos of the world.
        workers: Worker processes of a build.
        builder: annotate or generate of Video-FLR, or qtr.
        seed: Of the world, the faults and the moments.
    """
    shutil.rmtree(out, ignore_errors=True)
    build_world(out / "world", videos=videos, seconds=20, seed=seed, questions_per_video=8)
    with running_teacher("--seed", str(seed), *FAULTS) as address:
        trial = _Trial(out, address, builder, workers)
        undisturbed, seconds = trial.undisturbed()
        moments = random.Random(seed)
        for _ in track(range(kills), "kills", console=Console(markup=False, stderr=True)):
            while not trial.kill_after(moments.uniform(0, trial.seconds)):
                pass
        trial.finish()
    result = trial.result(undisturbed, seconds, kills)
    (out / "crash-test.json").write_text(json.dumps(result, indent=2))
    console = Console(markup=False, soft_wrap=True)
    for name, value in result.items():
        console.print(f"{name}: {value}")
    if not result["held"]:
        sys.exit(1)


class _Trial:
    """One build, killed and continued; `builds` of it were ended."""

    def __init__(self, out: Path, address: str, builder: str, workers: int) -> None:
        self.out, self.address, self.builder, self.workers = out, address, builder, workers
        self.temporary = out / "tmp"
        self.temporary.mkdir()
        self.shared_memory = _shared_memory()
        self.builds: list[dict[str, str]] = []
        self.paid: list[int] = []
        self.allowed: list[int] = []
        self.problems: list[str] = []
        self.seconds = 0.0
        self._begin()

    def undisturbed(self) -> tuple[dict[str, str], float]:
        """Labels and seconds of a build that nobody kills."""
        start = time.monotonic()
        code = self._start(self.out / "undisturbed").wait()
        seconds = time.monotonic() - start
        assert code in (0, 3), f"the undisturbed build ended with exit code {code}"
        self.seconds, self.undisturbed_paid = seconds, self._answered()
        self._begin()
        return _labels(self.out / "undisturbed"), seconds

    def kill_after(self, seconds: float) -> bool:
        """Start the build, kill its process group, and look for what it left behind. False where the build ended before."""
        process, started = self._start(self.out / "killed"), time.monotonic()
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            self._asked_again += CONCURRENCY + self._in_doubt()
            self._look_for_orphans()
            return True
        self.seconds = (self.seconds + time.monotonic() - started) / 2  # moments stay within what a build takes now
        self._ended(process.returncode)
        return False

    def finish(self) -> None:
        """Let the last build end, and look for what all of them left behind."""
        self._ended(self._start(self.out / "killed").wait())
        self._look_for_orphans()
        left = sorted(path.name for path in self.temporary.iterdir())
        if left:
            self.problems.append(f"temporary files left: {left[:5]}")
        grown = _shared_memory() - self.shared_memory
        if grown:
            self.problems.append(f"shared memory left: {sorted(grown)[:5]}")

    def result(self, undisturbed: dict[str, str], seconds: float, kills: int) -> dict[str, object]:
        """All figures, and whether every promise held."""
        equal = [labels == undisturbed for labels in self.builds]
        held = all(equal) and not self.problems and all(p <= a for p, a in zip(self.paid, self.allowed, strict=True))
        return {
            "builder": self.builder,
            "kills": kills,
            "workers": self.workers,
            "in flight at a kill, at most": CONCURRENCY,
            "builds that ended": len(self.builds),
            "of them with the undisturbed labels": sum(equal),
            "questions labelled": len(undisturbed),
            "undisturbed seconds": round(seconds, 1),
            "undisturbed requests": self.undisturbed_paid,
            "requests paid in all": sum(self.paid),
            "allowed in all: undisturbed + in flight and in doubt at each kill": sum(self.allowed),
            "builds that paid more than allowed": sum(p > a for p, a in zip(self.paid, self.allowed, strict=True)),
            "requests paid a build": self.paid,
            "left behind": self.problems,
            "held": held,
        }

    def _begin(self) -> None:
        """A new build begins: its payments count from here."""
        shutil.rmtree(self.out / "killed", ignore_errors=True)
        self._counted_from = _health(self.address)
        self._asked_again = 0

    def _ended(self, code: int) -> None:
        if code not in (0, 3):
            self.problems.append(f"a build ended with exit code {code}")
        folder = self.out / "killed"
        report = verify(folder)
        self.problems += [str(problem) for problem in report.problems]
        hidden = [path.name for path in folder.rglob("*") if path.name.endswith((".part", "-journal", "-wal", ".tmp"))]
        if hidden:
            self.problems.append(f"unfinished files left: {hidden[:5]}")
        self.builds.append(_labels(folder))
        self.paid.append(self._answered())
        self.allowed.append(self.undisturbed_paid + self._asked_again)
        self._begin()

    def _in_doubt(self) -> int:
        """Bad replies that may be the endpoint's fault, when the build was killed: the same command asks again."""
        noted = (self.out / "killed" / DOUBTS).glob("*.json")
        return sum(len(json.loads(path.read_text())) for path in noted)

    def _answered(self) -> int:
        return _health(self.address) - self._counted_from

    def _start(self, out: Path) -> "subprocess.Popen[bytes]":
        world = self.out / "world"
        options = {
            "--config": f"miniature/{'qtr' if self.builder == 'qtr' else f'flr_{self.builder}'}",
            "--videos": world,
            "--out": out,
            "--videos_per_shard": 3,
            "--workers": self.workers,
            "--teacher.base_url": self.address,
            "--teacher.concurrency": CONCURRENCY,
            "--video_list" if self.builder == "generate" else "--questions": world / "questions.jsonl",
        }
        builder = ["qtr"] if self.builder == "qtr" else ["flr", self.builder]
        command = [sys.executable, "-m", "videorouter", "data_builders", *builder]
        command += [str(word) for option in options.items() for word in option]
        environment = os.environ | {MARK: str(os.getpid()), "TMPDIR": str(self.temporary.resolve())}
        with (self.out / "builds.log").open("ab") as log:
            return subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)

    def _look_for_orphans(self) -> None:
        """Processes of the killed build must be gone within seconds: the decoders, too, although they may be busy."""
        for _ in range(50):
            if not (orphans := _marked()):
                return
            time.sleep(0.1)
        self.problems.append(f"orphans five seconds after a kill: {orphans}")


def _labels(folder: Path) -> dict[str, str]:
    """Every label of a data set, by question; a question labelled twice is a problem of its own."""
    labels: dict[str, str] = {}
    for sample in ShardDataset(folder):
        for question in sample.questions:
            assert question.question.id not in labels, f"{question.question.id} is labelled twice in {folder}"
            labels[question.question.id] = question.model_dump_json()
    return labels


def _marked() -> list[str]:
    """Running processes that inherited the mark of a killed build."""
    found = []
    wanted = f"{MARK}={os.getpid()}".encode()
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                if wanted in (process / "environ").read_bytes().split(b"\0"):
                    found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:200])
            except OSError:  # it is gone, or is not ours
                continue
    return found


def _shared_memory() -> set[str]:
    return {path.name for path in SHARED_MEMORY.iterdir()} if SHARED_MEMORY.is_dir() else set()


def _health(address: str) -> int:
    """Requests the teacher has answered."""
    with urllib.request.urlopen(address.removesuffix("/v1") + "/health") as response:
        answered: int = json.load(response)["answered"]
    return answered
