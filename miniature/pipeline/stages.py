"""Running the packages' commands one after another, as a person would type them, with their times kept; and a teacher beside."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import urlopen

from rich.console import Console
from rich.text import Text


class StageFailed(ValueError):
    """A stage ended with a non-zero exit code; the message names it."""


@dataclass
class Stages:
    """Runs `videorouter ...` lines, prints each before it starts, and remembers how long it took (seconds by title)."""

    console: Console
    seconds: dict[str, float] = field(default_factory=dict)

    def run(self, title: str, *arguments: str | Path, accepted: Container[int] = (0,)) -> None:
        """Run one command to its end, its output going straight to the terminal.

        Raises `StageFailed` for an exit code that is not `accepted`.
        """
        command = [str(argument) for argument in arguments]
        self.console.rule(Text(title, style="bold"), align="left")
        self.console.print(f"videorouter {shlex.join(command)}", style="dim", soft_wrap=True, highlight=False)
        started = time.monotonic()
        code = _ended(subprocess.Popen([sys.executable, "-m", "videorouter", *command], env=quiet_environment()))
        self.seconds[title] = time.monotonic() - started
        if code not in accepted:
            raise StageFailed(f"stage {title!r} ended with exit code {code}: videorouter {shlex.join(command)}")


def _ended(process: subprocess.Popen[bytes]) -> int:
    """The exit code, once it ended; Ctrl-C reaches it too, from the terminal or from here."""
    try:
        return process.wait()
    except KeyboardInterrupt:
        for seconds, end in ((0.5, lambda: process.send_signal(signal.SIGINT)), (2.5, process.kill)):
            try:
                process.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                end()
        raise


@contextmanager
def running_teacher(*options: str) -> Iterator[str]:
    """The address of a miniature teacher on a free loopback port, for as long as the block runs.

    Raises `StageFailed` where it does not start.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "videorouter", "miniature", "teacher", "--port", "0", *options],
        stdout=subprocess.PIPE,
        text=True,
        env=quiet_environment() | {"OPENBLAS_NUM_THREADS": "1"},  # waiting threads would take the builder's processor
    )
    try:
        assert process.stdout is not None
        address = next((line.split()[-1] for line in process.stdout if "http://" in line), None)
        if address is None:
            raise StageFailed(
                "the miniature teacher did not start: run `videorouter miniature teacher --port 0` to see why"
            )
        urlopen(f"{address.removesuffix('/v1')}/health", timeout=30).close()
        yield address
    finally:
        process.terminate()
        process.wait(timeout=30)


def quiet_environment() -> dict[str, str]:
    """The environment without the chatter of libraries that a reader of the demo does not need."""
    return os.environ | {
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "TOKENIZERS_PARALLELISM": "false",
        "DS_ACCELERATOR": "cpu",
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore",
    }
