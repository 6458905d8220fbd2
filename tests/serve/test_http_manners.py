"""What HTTP asks of every server: HEAD, a reason where an encoding is not read, how to send a key; a taken port told at once."""

import gzip
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.serve.running_server import RunningServer, running_server, serve_command, server_environment


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("manners"), keys=["key-of-manners"]) as started:
        yield started


@pytest.mark.parametrize(
    "path", ["/", "/health", "/v1/models", "/v1/files", "/videos", "/metrics", "/page.js", "/none"]
)
def test_head_is_answered_as_get_without_a_body(server: RunningServer, path: str) -> None:
    got, head = server.get(path), httpx2.head(server.address + path, headers=server.headers)
    assert (head.status_code, head.headers["content-type"], head.content) == (
        got.status_code,
        got.headers["content-type"],
        b"",
    )


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/files"])
@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd, gzip"])
def test_a_compressed_body_is_415_and_says_why(server: RunningServer, path: str, encoding: str) -> None:
    body = gzip.compress(json.dumps({"messages": []}).encode())
    headers = server.headers | {"Content-Encoding": encoding}
    for kind in ("application/json", "multipart/form-data; boundary=x"):
        refused = httpx2.post(server.address + path, content=body, headers=headers | {"Content-Type": kind})
        assert refused.status_code == 415, refused.text
        assert "Content-Encoding" in refused.json()["error"]["message"]
    plain = server.chat({"messages": []}, headers=server.headers | {"Content-Encoding": "identity"})
    assert plain.status_code == 400


def test_a_missing_key_says_how_to_send_one(server: RunningServer) -> None:
    refused = server.get("/v1/models", headers={})
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")


def test_a_taken_port_is_told_before_torch_is_loaded(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = subprocess.run(
            serve_command("--port", str(taken.getsockname()[1])),
            env=server_environment(tmp_path) | {"PYTHONPROFILEIMPORTTIME": "1"},
            cwd=os.fspath(tmp_path), capture_output=True, text=True, timeout=90,
        )  # fmt: skip
    assert done.returncode == 1
    assert "in use" in done.stderr
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "socket" in loaded
    assert "torch" not in loaded
