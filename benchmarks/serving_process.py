"""`videorouter serve`, except that the Image Router's relevance is replaced once it is computed: an untrained one follows nothing.

Of 64 frames 17.6 are found relevant on average, others in every question; all work is done. `python -m benchmarks.serving_process`
takes the options of `videorouter serve`.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import torch

RELEVANT = 17.6 / 64
ROOT = Path(__file__).parents[1]


@contextmanager
def serving(log: Path, threads: int, *options: str) -> Iterator[str]:
    """The address of such a server in a process of its own, once it answers."""
    command = [sys.executable, "-m", "benchmarks.serving_process", "--port", "0", *options]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    with log.open("wb") as written:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=written, text=True
        )
        assert process.stdout is not None
        try:
            told = next((line for line in process.stdout if "the page at" in line), None)
            if told is None:
                raise RuntimeError(f"the server did not start:\n{log.read_text()[-3000:]}")
            yield told.split()[-1].rstrip("/")
        finally:
            process.terminate()
            process.wait(30)
            process.stdout.close()


def counts() -> Iterator[float]:
    """Shares of relevant frames whose mean is `RELEVANT`, whatever the number of frames: 18, 17, 18, 17, 18 of 64."""
    return ((18, 17)[number % 5 % 2] / 64 for number in count())


def forced(image: torch.nn.Module) -> None:
    """Have `image` say the relevance that is wanted in place of its own, computed as ever."""
    shares, drawn = counts(), torch.Generator().manual_seed(0)

    def replaced(module: torch.nn.Module, given: Any, scores: torch.Tensor) -> torch.Tensor:
        relevance = torch.zeros_like(scores)
        for row in relevance:
            chosen = torch.randperm(len(row), generator=drawn)[: round(next(shares) * len(row))]
            row[chosen] = 1.0
        return relevance

    image.register_forward_hook(replaced)


def main() -> int:
    """Serve until stopped."""
    from videorouter.serve import server
    from videorouter.serve.__main__ import main as command

    load = server.load

    def loaded(config: Any) -> Any:
        router = load(config)
        forced(router.image)
        return router

    server.load = loaded
    return int(command(sys.argv[1:]) or 0)


if __name__ == "__main__":
    raise SystemExit(main())
