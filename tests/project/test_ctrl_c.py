"""Ctrl-C ends every long command, and all that it started, within five seconds: exit code 130, one line that says how to go on."""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest

from tests.warm.commands import warm_commands
from videorouter.__main__ import main
from videorouter.data_builders.building.ledger import Caps, Ledger

SAVED = Path(__file__).parents[1] / "saved" / "0.1.0"
SECONDS = 5.0


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    folder = tmp_path / "saved"
    shutil.copytree(SAVED, folder)
    return folder


def interrupted(folder: Path, begun: Callable[[], bool], *arguments: str, whole_group: bool = False) -> list[str]:
    """Start a command in `folder`, interrupt it once it has `begun`; the lines of its standard error.

    A terminal sends SIGINT to the whole process group, `kill -INT` to the one process.
    """
    error, output = folder / "stderr.txt", folder / "stdout.txt"
    with error.open("w") as stderr, output.open("w") as stdout:
        command = ["-m", "videorouter", *arguments]
        process = warm_commands().start(command, folder, os.environ, stderr, stdout, session=True)
        try:
            deadline = time.monotonic() + 90
            while not begun():
                assert process.poll() is None, f"ended by itself with {process.returncode}: {error.read_text()}"
                assert time.monotonic() < deadline, f"did not begin: {error.read_text()}"
                time.sleep(0.05)
            started = time.monotonic()
            if whole_group:
                os.killpg(process.pid, signal.SIGINT)
            else:
                process.send_signal(signal.SIGINT)
            code = process.wait(timeout=30)
            seconds = time.monotonic() - started
            while (left := _group(process.pid)) and time.monotonic() < started + SECONDS:
                time.sleep(0.05)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    lines = [line for line in error.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert code == 130, (code, lines)
    assert seconds < SECONDS, f"{seconds:.1f} s: {lines}"
    assert not any("Traceback" in line for line in lines), "\n".join(lines)
    assert not left, f"left over: {left}"
    return lines


def says_how_to_go_on(lines: list[str], how: str) -> bool:
    """The last line does, and it is the only one of its kind."""
    told = [line for line in lines if line.startswith("interrupted")]
    return len(told) == 1 and lines[-1] == told[0] and how in told[0]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_build_keeps_what_is_paid_and_says_that_the_same_command_continues(
    workers: str, saved: Path, start_teacher: Callable[..., AbstractContextManager[str]]
) -> None:
    """Every reply takes a second; those in flight are awaited, so that none is paid twice."""
    with start_teacher("--hang", "1", "--hang_seconds", "1") as url:
        command = ["data_builders", "flr", "annotate", "--config", "miniature/flr_annotate"]
        command += ["--questions", "world/questions.jsonl", "--videos", "world", "--teacher.base_url", url]
        command += ["--out", "build", "--videos_per_shard", "2", "--frames", "16", "--workers", workers]
        command += ["--teacher.concurrency", "4"]
        lines = interrupted(saved, lambda: _answered(url) > 0, *command, whole_group=True)
        answered = _answered(url)
    assert says_how_to_go_on(lines, "the same command continues"), lines
    assert Ledger.open(saved / "build", None, Caps(), None).totals().usage.requests == answered
    assert "interrupted" in (saved / "build" / "run.log").read_text(encoding="utf-8")


def test_processes_that_a_build_has_just_started(
    saved: Path, start_teacher: Callable[..., AbstractContextManager[str]]
) -> None:
    """They are still importing: a terminal's Ctrl-C must not end them with a page of Python."""

    def started() -> bool:
        return any(_is_worker_in(process, saved) for process in psutil.process_iter())

    with start_teacher() as url:
        command = ["data_builders", "flr", "annotate", "--config", "miniature/flr_annotate"]
        command += ["--questions", "world/questions.jsonl", "--videos", "world", "--teacher.base_url", url]
        command += ["--out", "build", "--frames", "16", "--workers", "2"]
        lines = interrupted(saved, started, *command, whole_group=True)
    assert lines == [line for line in lines if line.startswith("interrupted: ")], lines


def test_a_command_that_is_still_importing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("runpy.run_module", interrupt)
    monkeypatch.setattr("sys.argv", ["videorouter", "video"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 130
    assert capsys.readouterr().err == "interrupted: nothing was begun\n"


def test_a_training(saved: Path) -> None:
    config = "image-router/csv/version_0/config.yaml"
    command = ["train", "fit", "--config", config, "--out", "trained", "--trainer.max_epochs", "10000"]
    lines = interrupted(saved, lambda: _says(saved / "trained" / "run.log", "training begins"), *command)
    assert says_how_to_go_on(lines, "--resume auto"), lines
    assert _says(saved / "trained" / "run.log", "interrupted at step")


def test_an_evaluation(saved: Path) -> None:
    command = ["eval", "run", "--model", "router", "--benchmark", "miniature", "--data", "world", "--out", "run"]
    command += ["--systems", "[videorouter,uniform_pooling,dense,vidcom2]", "--scoring", "generate"]
    lines = interrupted(saved, lambda: _says(saved / "run" / "run.log", "questions"), *command)
    assert says_how_to_go_on(lines, "after the last answer"), lines
    assert _says(saved / "run" / "run.log", "interrupted")


@pytest.mark.parametrize("whole_group", [False, True])
def test_a_demo_and_what_it_started(saved: Path, whole_group: bool) -> None:
    lines = interrupted(
        saved,
        lambda: any((saved / "demo").rglob("*.mp4")),
        *["miniature", "demo", "--scale", "tiny", "--out", "demo"],
        whole_group=whole_group,
    )
    assert lines[-1].startswith("interrupted: "), lines


def test_pretraining(saved: Path) -> None:
    lines = interrupted(
        saved, lambda: (saved / "bases" / "run.log").exists(), "miniature", "train-base", "--out", "bases"
    )
    assert says_how_to_go_on(lines, "after the last finished part"), lines


def test_a_teacher(saved: Path) -> None:
    lines = interrupted(saved, lambda: _says(saved / "stdout.txt", "http://"), "miniature", "teacher", "--port", "0")
    assert len(lines) <= 1, lines


def _group(group: int) -> list[str]:
    """Command lines of the processes of a group that have not ended."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
    return found


def _is_worker_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return "spawn_main" in " ".join(process.cmdline()) and Path(process.cwd()) == folder
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return False


def _answered(url: str) -> int:
    with urlopen(f"{url.removesuffix('/v1')}/health", timeout=10) as reply:
        return int(json.load(reply)["answered"])


def _says(file: Path, text: str) -> bool:
    return file.exists() and text in file.read_text(encoding="utf-8")
