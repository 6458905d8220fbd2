"""A real vLLM on the CPU, from an environment of its own that `VIDEOROUTER_VLLM` names (`scripts/vllm_cpu.sh`)."""

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

READY = 280


@contextmanager
def vllm_server(base: Path, log: Path, *options: str) -> Iterator[str]:
    """Its address up to /v1, once it is ready; skipped where there is no such environment."""
    home = os.environ.get("VIDEOROUTER_VLLM")
    if not home:
        pytest.skip("VIDEOROUTER_VLLM is not set: `make test-vllm` makes an environment with vLLM and sets it")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "VLLM_CPU_KVCACHE_SPACE": "1", "OMP_NUM_THREADS": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "PATH": f"{home}/bin:{os.environ['PATH']}",
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
            _await(address, server, log)
            yield f"{address}/v1"
        finally:
            os.killpg(server.pid, 15)
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, 9)
                server.wait()


def _await(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    ends = time.monotonic() + READY
    while time.monotonic() < ends:
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(1)
    pytest.fail(f"vLLM did not become ready:\n{log.read_text(errors='replace')[-4000:]}")
