"""Connections that ask nothing, ask half, or read nothing are closed; those that ask are answered meanwhile."""

import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.serve.running_server import running_server, serve_command, server_environment
from videorouter.serve.connections import LEAST, MOST, most_connections

HALF = b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half"
WHOLE = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
UNREAD = b"POST /health HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n"


@contextmanager
def _sockets(address: str, sent: Sequence[bytes]) -> Iterator[list[socket.socket]]:
    """A connection for each of `sent`, which is all that it says."""
    port = int(address.rpartition(":")[2])
    with ExitStack() as stack:
        opened = []
        for first in sent:
            opened.append(stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20)))
            if first:
                opened[-1].sendall(first)
        yield opened


def _ended(one: socket.socket) -> bool:
    """Read until the other side closes."""
    try:
        while one.recv(65_536):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


def test_connections_without_a_request_are_closed_in_time(tmp_path: Path) -> None:
    """Silent ones, half headers, half headers after an answer, and the bytes of a body that nobody waits for, one by one."""
    with running_server(tmp_path, "--patience", "3") as server:
        before = server.footprint().descriptors
        kinds = [b"", HALF, WHOLE + HALF, UNREAD]
        with _sockets(server.address, kinds * 75) as opened:
            started = time.monotonic()
            trickling = opened[1::4][:5] + opened[3::4][:5]
            for _ in range(4):
                assert server.get("/health").status_code == 200
                for one in trickling:
                    one.sendall(b"x")
                time.sleep(0.5)
            assert all(_ended(one) for one in opened)
            assert time.monotonic() - started < 3 + 2
        assert server.footprint().descriptors <= before + 4
        assert "Traceback" not in server.said


@pytest.mark.slow
def test_a_server_of_few_files_answers_beside_silent_connections(tmp_path: Path) -> None:
    """The one that has waited longest makes place, and the log stays short."""
    limited = ["bash", "-c", 'ulimit -n 150; exec "$@"', "bash", *serve_command("--verbose")]
    with (tmp_path / "stderr").open("wb") as said:
        process = subprocess.Popen(
            limited, env=server_environment(tmp_path), stdout=subprocess.PIPE, stderr=said, text=True
        )
        assert process.stdout is not None
        try:
            line = next(line for line in process.stdout if " at http" in line)
            address = line.partition(" at ")[2].partition("/v1")[0]
            with _sockets(address, [b"", HALF] * 100):
                for _ in range(5):
                    assert httpx2.get(f"{address}/health", timeout=10).status_code == 200
                    time.sleep(0.2)
        finally:
            process.kill()
            process.wait(30)
            process.stdout.close()
    assert (tmp_path / "stderr").stat().st_size < 20_000


@pytest.mark.slow
def test_beyond_the_most_connections_new_ones_are_closed_at_once(tmp_path: Path) -> None:
    """Where each has a request: bodies that have not come yet."""
    coming = b"POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nabc"
    with running_server(tmp_path, "--most_connections", "4") as server:
        with _sockets(server.address, [coming] * 4):
            time.sleep(0.5)
            with _sockets(server.address, [b""] * 20) as refused:
                assert all(_ended(one) for one in refused)
            with pytest.raises(httpx2.TransportError):
                server.get("/health")
        time.sleep(0.5)
        assert server.get("/health").status_code == 200
        assert server.said.count("connections are open") == 1


@pytest.mark.slow
def test_an_answer_that_nobody_reads_is_given_up(tmp_path: Path) -> None:
    media = tmp_path / "media"
    media.mkdir()
    (media / "large.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(40_000_000))
    with running_server(tmp_path, "--patience", "2", "--media_root", str(media)) as server:
        before = server.footprint().descriptors
        asked = b"GET /videos/large.mp4 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        with _sockets(server.address, [asked] * 5) as opened:
            assert opened[0].recv(15) == b"HTTP/1.1 200 OK"
            time.sleep(4)
            assert server.footprint().descriptors <= before + 2


@pytest.mark.parametrize(("files", "most"), [(64, LEAST), (1024, 432), (1_000_000, MOST)])
def test_the_default_leaves_files_for_the_requests(files: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (files, files))
    assert most_connections(None, 32) == most
    with pytest.raises(ValueError, match="ulimit -n"):
        most_connections(files, 32)
