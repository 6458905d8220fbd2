"""A full disk is an error of its own, wherever it is met; the server goes on, and its log says what to do."""

import re
import subprocess
from collections.abc import Iterator

import httpx2
import pytest

from tests.serve.running_server import RunningServer, serve_command, server_environment

SMALL = 'mount -t tmpfs -o size=300k small tmp && exec "$@"'
VIDEO = b"\0\0\0\x18ftypmp42"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Its temporary files lie on a disk of 300 KB, as does its log."""
    folder = tmp_path_factory.mktemp("full")
    environment = server_environment(folder)
    small = ["unshare", "--map-root-user", "--mount", "sh", "-c", SMALL, "sh"]
    if subprocess.run([*small, "true"], cwd=folder, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    with (folder / "stderr.txt").open("wb") as said:
        process = subprocess.Popen(
            [*small, *serve_command("--log", "tmp/log.jsonl")],
            cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=said, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        try:
            told = next((found for line in process.stdout if (found := re.search(r"at (http://\S+)/v1", line))), None)
            assert told, (folder / "stderr.txt").read_text()[-3000:]
            yield RunningServer(process, told[1], folder)
        finally:
            process.kill()
            process.wait(30)
            process.stdout.close()


@pytest.mark.parametrize("size", [400_000, 3_000_000])
@pytest.mark.parametrize("form", [True, False])
def test_uploads_are_told(server: RunningServer, size: int, form: bool) -> None:
    content = VIDEO + bytes(size)
    sent = {"files": {"file": ("a.mp4", content)}} if form else {"content": content}
    full = httpx2.post(f"{server.address}/v1/files", timeout=60, **sent)
    assert (full.status_code, full.json()["error"]["code"]) == (507, "disk_full")
    assert "is full" in server.said
    assert str(server.folder / "tmp") in "".join(server.said.split())
    assert "Traceback" not in server.said


@pytest.mark.slow
def test_a_log_that_cannot_be_written_is_told_once(server: RunningServer) -> None:
    filler = httpx2.post(f"{server.address}/v1/files", content=VIDEO + bytes(280_000), timeout=60)
    assert filler.status_code == 200
    for _ in range(600):
        server.get("/none")
    assert server.get("/health").status_code == 200
    assert server.said.count("cannot be written") == 1
    assert "Traceback" not in server.said
