"""`videorouter serve` as a process of its own on a free loopback port, and what can be seen of that process from outside."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import psutil
from prometheus_client.parser import text_string_to_metric_families

from tests.warm.process import WarmProcess, WarmPython

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "miniature" / "shipped" / "robust-router"
IMPORTED = (
    "jsonargparse", "tokenizers", "transformers.models.auto.processing_auto", "transformers.models.auto.tokenization_auto",
    "transformers.models.internvl.modeling_internvl", "transformers.models.qwen2.modeling_qwen2", "uvicorn.lifespan.on",
    "videorouter.routers.backbones.internvl", "videorouter.serve.connections", "videorouter.serve.server",
    "videorouter.serve.stopping",
)  # fmt: skip
"""By a server with the shipped router until it answers."""
OF_PYTHON = {
    "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "default::ResourceWarning",
}  # fmt: skip
"""What Python and its libraries read of a server's environment when they are loaded."""


@dataclass(frozen=True)
class Footprint:
    """What a server holds of its machine: resident bytes, open files and sockets, threads, and the files of its folder."""

    memory: int
    descriptors: int
    threads: int
    files: frozenset[str]


@dataclass(frozen=True)
class RunningServer:
    """A server that answers at `address`; it keeps its temporary files in `folder / "tmp"`, its words in `said`."""

    process: "WarmProcess | subprocess.Popen[str]"
    address: str
    folder: Path
    key: str | None = None

    @property
    def said(self) -> str:
        """All that it wrote on standard error."""
        return (self.folder / "stderr.txt").read_text(encoding="utf-8", errors="replace")

    @property
    def headers(self) -> dict[str, str]:
        """That say who asks."""
        return {} if self.key is None else {"Authorization": f"Bearer {self.key}"}

    def get(self, path: str, **options: Any) -> httpx2.Response:
        """One GET request."""
        return httpx2.get(self.address + path, timeout=60, **{"headers": self.headers} | options)

    def chat(self, body: Any, **options: Any) -> httpx2.Response:
        """One chat request."""
        return httpx2.post(
            f"{self.address}/v1/chat/completions", json=body, timeout=60, **{"headers": self.headers} | options
        )

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric over all labels but those given."""
        families = text_string_to_metric_families(self.get("/metrics").text)
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def footprint(self) -> Footprint:
        """What it holds now."""
        seen = psutil.Process(self.process.pid)
        files = frozenset(
            str(path.relative_to(self.folder))
            for path in (self.folder / "tmp").rglob("*")
            if path.is_file() and path.name != "lock"
        )
        return Footprint(seen.memory_info().rss, seen.num_fds(), seen.num_threads(), files)

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """Send a signal; the exit code and the seconds until then."""
        started = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(30), time.monotonic() - started


def serve_command(*options: str) -> list[str]:
    """The command line of a server with the shipped router."""
    return [sys.executable, "-m", "videorouter", "serve", "--model", str(SHIPPED), "--port", "0", *options]


def server_environment(folder: Path, keys: Sequence[str] = ()) -> dict[str, str]:
    """Its environment: one thread, API `keys` where there are any, and temporary files in `folder`."""
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    own = {"TMPDIR": str(folder / "tmp"), "VIDEOROUTER_API_KEYS": ",".join(keys)}
    return os.environ | OF_PYTHON | own


@cache
def warm_python() -> WarmPython:
    """What servers are forked from in this session of tests."""
    return WarmPython(IMPORTED, OF_PYTHON)


@contextmanager
def running_server(folder: Path, *options: str, keys: Sequence[str] = ()) -> Iterator[RunningServer]:
    """A server that answers, and uses the first of the keys."""
    environment = server_environment(folder, keys)
    with (folder / "stderr.txt").open("wb") as stderr:
        process = warm_python().start(serve_command(*options)[1:], folder, environment, stderr)
        assert process.stdout is not None
        try:
            found = (re.search(r"at (http://\S+)/v1", line) for line in process.stdout)
            told = next((match for match in found if match), None)
            assert told, (folder / "stderr.txt").read_text()[-3000:]
            yield RunningServer(process, told[1], folder, keys[0] if keys else None)
        finally:
            process.kill()
            process.wait(30)
            process.stdout.close()
