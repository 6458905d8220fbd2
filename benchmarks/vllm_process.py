"""A vLLM on this machine's CPUs as a process, from an environment of its own (`scripts/vllm_cpu.sh`); needs nothing but Python."""

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class NotReady(RuntimeError):
    """It ended, or did not answer in time; the message has the end of its log."""


@contextmanager
def vllm_process(
    home: Path, base: Path, log: Path, *options: str, threads: int = 1, cache_gb: int = 1, patience: float = 280.0
) -> Iterator[str]:
    """Its address up to /v1, once it is ready. Raises `NotReady`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "VLLM_CPU_KVCACHE_SPACE": str(cache_gb), "OMP_NUM_THREADS": str(threads), "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "PATH": f"{home}/bin:{os.environ['PATH']}",
    }  # fmt: skip
    environment.pop("PYTHONPATH", None)
    command = [
        f"{home}/bin/vllm", "serve", str(base), "--host", "127.0.0.1", "--port", str(port), "--dtype", "float32",
        "--enforce-eager", "--max-model-len", "4096", "--skip-mm-profiling", "--enable-prompt-embeds", *options,
    ]  # fmt: skip
    with log.open("wb") as written:
        server = subprocess.Popen(command, env=environment, stdout=written, stderr=written, start_new_session=True)
        try:
            address = f"http://127.0.0.1:{port}"
            _await(address, server, log, patience)
            yield f"{address}/v1"
        finally:
            os.killpg(server.pid, 15)
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, 9)
                server.wait()


def _await(address: str, server: subprocess.Popen[bytes], log: Path, patience: float) -> None:
    ends = time.monotonic() + patience
    while time.monotonic() < ends and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(1)
    raise NotReady(f"vLLM did not become ready:\n{log.read_text(errors='replace')[-4000:]}")
