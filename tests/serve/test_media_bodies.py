"""What servers of media send: whatever they say and however slowly, it is bounded in bytes and seconds, and leaves nothing."""

import asyncio
import gzip
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.loopback.raw import raw_server, response
from tests.serve.media_servers import Send, good
from tests.serve.opening import MP4, descriptors, left_in, see, seen
from videorouter.serve.errors import BadVideo, RequestError, TooLarge, Unreachable
from videorouter.serve.media import fetch
from videorouter.serve.media.media import Media
from videorouter.serve.media.options import MediaOptions


def slow_body(head: bytes, send: Send) -> None:
    send(response(MP4, length=10**6))
    for _ in range(200):
        time.sleep(0.05)
        send(b"x")


def silent(head: bytes, send: Send) -> None:
    time.sleep(5)


def slow_head(head: bytes, send: Send) -> None:
    for _ in range(200):
        send(b"HTTP/1.1 200 OK\r\n"[:1])
        time.sleep(0.05)


def cut(head: bytes, send: Send) -> None:
    send(response(MP4, length=len(MP4) + 1))


def hang_up(head: bytes, send: Send) -> None:
    return


def not_http(head: bytes, send: Send) -> None:
    send(MP4)


def failing(head: bytes, send: Send) -> None:
    send(response(b"", status="503 Busy"))


@pytest.mark.parametrize("answer", [slow_body, silent, slow_head, cut, hang_up, not_http, failing])
def test_servers_that_stall_or_break_off_are_unreachable_in_time(
    answer: Callable[[bytes, Send], None], tmp_path: Path
) -> None:
    with raw_server(answer) as (port, _):
        start = time.monotonic()
        with pytest.raises(Unreachable) as raised:
            seen(tmp_path, f"http://127.0.0.1:{port}/a", allowed_hosts=[f"127.0.0.1:{port}"], fetch_timeout=1.0)
        assert time.monotonic() - start < 4
        assert raised.value.status == 503


def test_a_server_that_says_nothing_is_left_before_the_whole_time_is_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(fetch, "SILENCE", 0.3)
    with raw_server(silent) as (port, _), pytest.raises(Unreachable, match="stopped sending"):
        seen(tmp_path, f"http://127.0.0.1:{port}/a", allowed_hosts=[f"127.0.0.1:{port}"], fetch_timeout=30.0)


def test_names_that_do_not_resolve_and_ports_that_are_closed_are_unreachable(tmp_path: Path) -> None:
    with raw_server(good) as (port, _):
        pass
    with pytest.raises(Unreachable, match="cannot be reached"):
        seen(tmp_path, f"http://127.0.0.1:{port}/a", allowed_hosts=[f"127.0.0.1:{port}"])

    async def no_such_name(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(Unreachable, match="resolved"):
        seen(tmp_path, "http://nothing.invalid/a", allowed_hosts=["nothing.invalid"], resolve=no_such_name)


@pytest.mark.parametrize(
    "status", ["404 Not Found", "403 Forbidden", "206 Partial Content", "204 No Content", "304 Not Modified"]
)
def test_what_a_server_refuses_is_the_clients_fault(status: str, tmp_path: Path) -> None:
    def answer(head: bytes, send: Send) -> None:
        send(response(b"" if status.startswith(("204", "304")) else MP4, status=status))

    with raw_server(answer) as (port, _), pytest.raises(RequestError, match=status[:3]) as raised:
        seen(tmp_path, f"http://127.0.0.1:{port}/a", allowed_hosts=[f"127.0.0.1:{port}"])
    assert raised.value.status == 400


def endless(head: bytes, send: Send) -> None:
    send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        send(b"10000\r\n" + MP4.ljust(65536, b"\0") + b"\r\n")


def until_closed(head: bytes, send: Send) -> None:
    send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while True:
        send(MP4)


def announced(head: bytes, send: Send) -> None:
    send(response(b"", length=10**15))
    time.sleep(3)


@pytest.mark.parametrize("answer", [endless, until_closed, announced])
def test_a_body_that_is_too_large_is_left_at_once(answer: Callable[[bytes, Send], None], tmp_path: Path) -> None:
    with raw_server(answer) as (port, _):
        start = time.monotonic()
        with pytest.raises(TooLarge) as raised:
            seen(tmp_path, f"http://127.0.0.1:{port}/a", allowed_hosts=[f"127.0.0.1:{port}"], most_bytes=5_000_000)
        assert time.monotonic() - start < 3
        assert raised.value.status == 413


def test_a_body_longer_than_announced_is_cut_where_it_was_announced_to_end(tmp_path: Path) -> None:
    def answer(head: bytes, send: Send) -> None:
        send(response(MP4 + b"x" * 10**6, length=len(MP4)))

    with raw_server(answer) as (port, _):
        assert seen(tmp_path, f"http://127.0.0.1:{port}/a", allowed_hosts=[f"127.0.0.1:{port}"]).content == MP4


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip"])
def test_compressed_bodies_are_not_unpacked(encoding: str, tmp_path: Path) -> None:
    bomb = gzip.compress(gzip.compress(bytes(50_000_000)))

    def answer(head: bytes, send: Send) -> None:
        send(response(bomb, f"Content-Encoding: {encoding}"))

    with raw_server(answer) as (port, _), pytest.raises(RequestError, match="compressed"):
        seen(tmp_path, f"http://127.0.0.1:{port}/a", allowed_hosts=[f"127.0.0.1:{port}"])


def test_pages_and_playlists_are_no_video(tmp_path: Path) -> None:
    for body in (b"<html>log in</html>", b"#EXTM3U\n/etc/passwd\n", b""):

        def answer(head: bytes, send: Send, body: bytes = body) -> None:
            send(response(body, "Content-Type: video/mp4"))

        with raw_server(answer) as (port, _), pytest.raises(BadVideo):
            seen(tmp_path, f"http://127.0.0.1:{port}/a.mp4", allowed_hosts=[f"127.0.0.1:{port}"])


def test_many_at_once_good_and_bad_leave_no_file_and_nothing_open(tmp_path: Path) -> None:
    def answer(head: bytes, send: Send) -> None:
        kind = head.split(b" ")[1]
        {b"/good": good, b"/cut": cut, b"/slow": slow_body, b"/endless": endless, b"/hang": hang_up}[kind](head, send)

    with raw_server(answer) as (port, _):
        media = Media(MediaOptions(allowed_hosts=[f"127.0.0.1:{port}"], most_bytes=10**6, fetch_timeout=4.0), tmp_path)

        async def storm(kinds: list[str]) -> list[str]:
            tasks = [asyncio.ensure_future(see(media, f"http://127.0.0.1:{port}/{kind}")) for kind in kinds]
            await asyncio.sleep(0.3)
            for task in tasks[-10:]:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            return [type(outcome).__name__ for outcome in outcomes]

        async def storms() -> tuple[int, list[str], int]:
            await storm(["good"])
            before = descriptors()
            outcomes = await storm(["good", "cut", "slow", "endless", "hang"] * 12 + ["slow"] * 10)
            for _ in range(300):
                if descriptors() <= before:
                    break
                await asyncio.sleep(0.02)
            return before, outcomes, descriptors()

        before, outcomes, after = asyncio.run(storms())
    assert outcomes == ["Seen", "Unreachable", "Unreachable", "TooLarge", "Unreachable"] * 12 + ["CancelledError"] * 10
    assert after <= before
    assert left_in(tmp_path) == []
    media.close()
