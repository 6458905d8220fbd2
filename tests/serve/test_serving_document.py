"""What docs/serving.md shows runs as it stands: the server that `make serve` starts, and OpenAI's client against it."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.project.linked_checkout import linked_checkout

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
PORT = "8800"
READY = 120


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return linked_checkout(tmp_path)


def test_make_serve_answers_openais_client_as_the_document_says(checkout: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    (command,), (code,) = blocks("bash"), blocks("python")
    environment = os.environ | {"PYTHONPATH": str(checkout), "PORT": port}
    started = command.strip().removesuffix("&").split()
    with (checkout / "log").open("wb") as log:
        server = subprocess.Popen(
            started, cwd=checkout, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            await_server(f"http://127.0.0.1:{port}/health", server, checkout / "log")
            done = subprocess.run(
                [sys.executable, "-c", code.replace(PORT, port)],
                cwd=checkout, env=environment, capture_output=True, text=True,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            printed = re.search(r"# -> (.+)$", code, re.MULTILINE)
            assert printed
            assert done.stdout.strip() == printed[1]
        finally:
            os.killpg(server.pid, 15)
            server.wait(20)


def await_server(address: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    ends = time.monotonic() + READY
    while time.monotonic() < ends and server.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    pytest.fail(f"the server did not become ready:\n{log.read_text(errors='replace')[-3000:]}")


def test_every_option_that_the_document_names_exists() -> None:
    from videorouter.serve.__main__ import parser

    known = set(re.findall(r"--(\w+)", parser().format_help()))
    served = "".join(blocks("text")) + DOCUMENT
    named = {name.replace("-", "_") for name in re.findall(r"(?<!\w)--([a-z][\w-]+)", served)}
    of_vllm = {"enable_prompt_embeds", "gpu_memory_utilization", "model_impl"}
    assert named - of_vllm <= known | {"verbose"}
