"""`videorouter serve` as a process of its own, on a free loopback port."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "miniature" / "shipped" / "robust-router"


@contextmanager
def server_process(folder: Path, *options: str, keys: str | None = None) -> Iterator[str]:
    """Its address, once it answers. What it says goes into `folder`; with API `keys` where they are given."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "VIDEOROUTER_API_KEYS": keys or ""}
    command = [sys.executable, "-m", "videorouter", "serve", "--model", str(SHIPPED), "--port", "0", *options]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
        assert process.stdout is not None
        try:
            told = next(
                (found for line in process.stdout if (found := re.search(r"the page at (http://\S+)/", line))), None
            )
            assert told, (folder / "server.log").read_text()[-3000:]
            yield told[1]
        finally:
            process.terminate()
            process.wait(30)
            process.stdout.close()
