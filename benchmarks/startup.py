"""Seconds until an import is done or a command has printed its help, beside transformers' own model class: `make bench-startup`."""

import subprocess
import sys
import time

from rich.console import Console
from rich.table import Table

ROUNDS = 5
IMPORTS = (
    "from transformers import InternVLForConditionalGeneration",
    "from videorouter import VideoRouter",
    "from videorouter import VideoQuestion",
    "from videorouter import parse_choice",
    "from videorouter import sample_frames",
)
HELP = (
    "", "video", "shards", "data_builders", "train", "routers", "routers answer", "eval", "eval run", "eval report", "miniature",
)  # fmt: skip


def fastest(command: list[str]) -> float:
    """The least seconds of `ROUNDS` runs: other work on the machine only adds."""
    seconds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def main() -> None:
    table = Table(title=f"start-up, the fastest of {ROUNDS} runs")
    table.add_column("what")
    table.add_column("seconds", justify="right")
    for statement in IMPORTS:
        table.add_row(statement, f"{fastest(['-c', statement]):.2f}")
    for command in HELP:
        words = [*command.split(), "--help"]
        table.add_row(f"videorouter {' '.join(words)}", f"{fastest(['-m', 'videorouter', *words]):.2f}")
    Console(markup=False).print(table)


if __name__ == "__main__":
    main()
