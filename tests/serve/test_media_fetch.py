"""What URLs lead to over http: only allowed hosts, at the addresses that were checked, in bounded bytes and seconds."""

import asyncio
import gzip
import hashlib
import shutil
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.loopback.raw import raw_server, response
from tests.serve.opening import MP4, descriptors, left_in, see, seen
from videorouter.serve.errors import BadVideo, Forbidden, RequestError, TooLarge, Unreachable
from videorouter.serve.media import fetch
from videorouter.serve.media.media import Media
from videorouter.serve.media.options import MediaOptions

Send = Callable[[bytes], None]
PUBLIC = "93.184.216.34"


def good(head: bytes, send: Send) -> None:
    send(response(MP4, "Content-Type: text/html"))


def redirecting(location: str, status: str = "302 Found") -> Callable[[bytes, Send], None]:
    def answer(head: bytes, send: Send) -> None:
        send(response(MP4, f"Location: {location}", status=status))

    return answer


class Names:
    """A resolver whose answers are given: one after another, the last for ever."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.answers, self.asked = answers, list[tuple[str, int]]()

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append((host, port))
        left = self.answers[host.split(".", maxsplit=1)[0]]
        return left.pop(0) if len(left) > 1 else left[0]


@pytest.fixture
def good_server() -> Iterator[tuple[int, list[bytes]]]:
    with raw_server(good) as served:
        yield served


def test_a_video_is_fetched_from_an_allowed_host(good_server: tuple[int, list[bytes]], tmp_path: Path) -> None:
    port, heads = good_server
    for url in (f"http://127.0.0.1:{port}/deep/a%20b.mp4?x=1#t=2", f" HTTP://127.0.0.1:{port}/deep/a%20b.mp4?x=1\n"):
        file = seen(tmp_path, url, allowed_hosts=[f"127.0.0.1:{port}"])
        assert file.content == MP4
        assert (file.stored.sha256, file.stored.size) == (hashlib.sha256(MP4).hexdigest(), len(MP4))
        assert (file.stored.kind, file.stored.name) == ("video", "a b.mp4")
    for head in heads:
        lines = head.decode().lower().split("\r\n")
        assert lines[0] == "get /deep/a%20b.mp4?x=1 http/1.1"
        assert f"host: 127.0.0.1:{port}" in lines
        assert "accept-encoding: identity" in lines
        assert not [line for line in lines if line.startswith(("cookie", "authorization", "referer"))]


def test_without_allowed_hosts_nothing_is_fetched(good_server: tuple[int, list[bytes]], tmp_path: Path) -> None:
    port, heads = good_server
    with pytest.raises(Forbidden, match="--allowed_hosts"):
        seen(tmp_path, f"http://127.0.0.1:{port}/a.mp4")
    assert heads == []


@pytest.mark.parametrize(
    "host", ["localhost", "127.1", "2130706433", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]", "127.0.0.1.", "0"]
)
def test_other_names_of_an_allowed_address_are_not_allowed(
    host: str, good_server: tuple[int, list[bytes]], tmp_path: Path
) -> None:
    port, heads = good_server
    allowed = [f"elsewhere:{port}"] if host == "127.0.0.1." else [f"127.0.0.1:{port}"]
    with pytest.raises(Forbidden):
        seen(tmp_path, f"http://{host}:{port}/a.mp4", allowed_hosts=allowed)
    assert heads == []


def test_proxies_of_the_environment_are_not_used(
    good_server: tuple[int, list[bytes]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    port, _ = good_server
    with raw_server(good) as (proxy, asked):
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy}")
        monkeypatch.delenv("no_proxy", raising=False)
        seen(tmp_path, f"http://127.0.0.1:{port}/a.mp4", allowed_hosts=[f"127.0.0.1:{port}"])
        assert asked == []


def pointing_to(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL of port 80 connects to `port`, so that hosts allowed without a port can be tested by an ordinary user."""
    ports = {"http": port, "https": 443}
    monkeypatch.setattr("videorouter.serve.media.address.DEFAULT_PORTS", ports)
    monkeypatch.setattr("videorouter.serve.media.fetch.DEFAULT_PORTS", ports)


@pytest.mark.parametrize(
    "answer",
    [
        ["127.0.0.1"],
        ["10.1.2.3"],
        ["169.254.169.254"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["0.0.0.0"],
        [PUBLIC, "127.0.0.1"],
        [],
    ],
)
def test_an_allowed_name_with_a_private_address_is_not_asked(
    answer: list[str], good_server: tuple[int, list[bytes]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    port, heads = good_server
    pointing_to(port, monkeypatch)
    with pytest.raises(Forbidden, match="not public") as raised:
        seen(tmp_path, f"http://cdn.example:{port}/a.mp4", allowed_hosts=["cdn.example"], resolve=Names(cdn=[answer]))
    assert heads == []
    assert not [address for address in answer if address in raised.value.message]  # what private names mean is not told


def test_a_name_whose_address_changes_after_it_was_checked_is_asked_at_the_checked_one(
    good_server: tuple[int, list[bytes]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    port, heads = good_server
    pointing_to(port, monkeypatch)
    monkeypatch.setattr(fetch, "CONNECT", 0.5)
    names = Names(rebinding=[[PUBLIC], ["127.0.0.1"]])
    options = {"allowed_hosts": ["rebinding.example"], "fetch_timeout": 3.0, "resolve": names}
    with pytest.raises(Unreachable):  # nothing answers at the public address, from here
        seen(tmp_path, f"http://rebinding.example:{port}/a.mp4", **options)
    assert names.asked == [("rebinding.example", port)]
    with pytest.raises(Forbidden, match="not public"):
        seen(tmp_path, f"http://rebinding.example:{port}/a.mp4", **options)
    assert heads == []


def test_the_checked_address_is_the_one_connected_to_and_the_name_is_told(
    good_server: tuple[int, list[bytes]], tmp_path: Path
) -> None:
    port, heads = good_server
    names = Names(inner=[["127.0.0.1"], ["127.99.99.99"]])
    url = f"http://inner.example:{port}/a.mp4"
    assert seen(tmp_path, url, allowed_hosts=[f"inner.example:{port}"], resolve=names).content == MP4
    assert f"host: inner.example:{port}" in heads[0].decode().lower()
    assert len(names.asked) == 1


def test_an_address_that_refuses_connections_leaves_the_next_one(
    good_server: tuple[int, list[bytes]], tmp_path: Path
) -> None:
    port, _ = good_server
    names = Names(inner=[["::1", "127.0.0.9", "127.0.0.1"]])
    url = f"http://inner.example:{port}/a.mp4"
    assert seen(tmp_path, url, allowed_hosts=[f"inner.example:{port}"], resolve=names).content == MP4


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_redirects_are_followed_to_allowed_hosts(
    status: str, good_server: tuple[int, list[bytes]], tmp_path: Path
) -> None:
    port, _ = good_server
    with raw_server(redirecting(f"http://127.0.0.1:{port}/b.mp4", status)) as (first, _):
        file = seen(tmp_path, f"http://127.0.0.1:{first}/a", allowed_hosts=[f"127.0.0.1:{first}", f"127.0.0.1:{port}"])
    assert file.content == MP4
    assert file.stored.name == "b.mp4"


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:{port}/a",
        "//127.0.0.1:{port}/a",
        "http://localhost:{port}/a",
        "http://[::1]:{port}/a",
        "http://169.254.169.254/latest/meta-data/",
        "http://other.example/a",
        "https://127.0.0.1:{port}/a",
        "file:///etc/passwd",
        "ftp://127.0.0.1:{port}/a",
        "data:video/mp4,abc",
        "gopher://127.0.0.1:{port}/a",
    ],
)
def test_redirects_lead_nowhere_else(location: str, good_server: tuple[int, list[bytes]], tmp_path: Path) -> None:
    port, heads = good_server
    with raw_server(redirecting(location.format(port=port))) as (first, _), pytest.raises(Forbidden):
        seen(tmp_path, f"http://127.0.0.1:{first}/a", allowed_hosts=[f"127.0.0.1:{first}", "allowed.example"])
    assert heads == []


def test_a_redirect_to_a_public_name_that_is_private_is_refused(
    good_server: tuple[int, list[bytes]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    port, heads = good_server
    pointing_to(port, monkeypatch)
    with raw_server(redirecting(f"http://cdn.example:{port}/b.mp4")) as (first, _), pytest.raises(Forbidden):
        seen(
            tmp_path,
            f"http://127.0.0.1:{first}/a",
            allowed_hosts=[f"127.0.0.1:{first}", "cdn.example"],
            resolve=Names(**{"127": [["127.0.0.1"]], "cdn": [["127.0.0.1"]]}),
        )
    assert heads == []


@pytest.mark.parametrize("location", ["/again", "", "http://user:word@127.0.0.1/a", "http://127.0.0.1:99999/"])
def test_endless_and_malformed_redirects_end(location: str, tmp_path: Path) -> None:
    with raw_server(redirecting(location)) as (port, heads):
        with pytest.raises(RequestError, match=r"redirect|password|malformed") as raised:
            seen(tmp_path, f"http://127.0.0.1:{port}/a", allowed_hosts=[f"127.0.0.1:{port}"], most_redirects=2)
        assert raised.value.status == 400
        assert len(heads) == (3 if location in ("/again", "") else 1)


def test_cookies_of_one_answer_are_not_sent_to_the_next(tmp_path: Path) -> None:
    def answer(head: bytes, send: Send) -> None:
        to = b"/second" in head
        send(response(MP4, "Set-Cookie: a=b; Path=/", "Location: /second", status="200 OK" if to else "302 Found"))

    with raw_server(answer) as (port, heads):
        seen(tmp_path, f"http://127.0.0.1:{port}/a", allowed_hosts=[f"127.0.0.1:{port}"])
    assert len(heads) == 2
    assert not [head for head in heads if b"cookie" in head.lower()]


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "http:///a",
        "http:a",
        "https://[/",
        "http://127.0.0.1:99999/",
        "http://me:word@127.0.0.1:{port}/",
        "http://a b/\x00",
        "http://\ud800/",
    ],
)
def test_malformed_urls_are_told(url: str, good_server: tuple[int, list[bytes]], tmp_path: Path) -> None:
    port, heads = good_server
    with pytest.raises(RequestError) as raised:
        seen(tmp_path, url.format(port=port), allowed_hosts=[f"127.0.0.1:{port}"])
    assert raised.value.status in (400, 403)
    assert "word" not in raised.value.message.replace("password", "")
    assert heads == []


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
    with pytest.raises(Unreachable, match="resolved"):
        seen(tmp_path, "http://nothing.invalid/a", allowed_hosts=["nothing.invalid"], fetch_timeout=20.0)


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


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Key and certificate of `inner.example`."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate, and is not installed")
    folder = tmp_path_factory.mktemp("tls")
    key, signed = folder / "key.pem", folder / "certificate.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-keyout",
        str(key),
        "-out",
        str(signed),
    ]
    command += ["-subj", "/CN=inner.example", "-addext", "subjectAltName=DNS:inner.example"]
    subprocess.run(command, check=True, capture_output=True)
    return key, signed


def test_tls_is_checked_against_the_name_though_the_address_is_pinned(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate[1], certificate[0])
    indicated = list[str | None]()
    context.sni_callback = lambda _, name, __: indicated.append(name)  # type: ignore[assignment]
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[1]))
    names = Names(inner=[["127.0.0.1"]], other=[["127.0.0.1"]])
    with raw_server(good, context) as (port, heads):
        hosts = [f"inner.example:{port}", f"other.example:{port}"]
        assert seen(tmp_path, f"https://inner.example:{port}/a", allowed_hosts=hosts, resolve=names).content == MP4
        with pytest.raises(Unreachable):
            seen(tmp_path, f"https://other.example:{port}/a", allowed_hosts=hosts, resolve=names)
    assert indicated == ["inner.example", "other.example"]
    assert len(heads) == 1


def test_a_redirect_never_leaves_tls(
    certificate: tuple[Path, Path],
    good_server: tuple[int, list[bytes]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate[1], certificate[0])
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[1]))
    port, heads = good_server
    redirects = raw_server(redirecting(f"http://127.0.0.1:{port}/a"), context)
    with redirects as (first, _), pytest.raises(Forbidden, match="from https to http"):
        seen(
            tmp_path,
            f"https://inner.example:{first}/a",
            allowed_hosts=[f"inner.example:{first}", f"127.0.0.1:{port}"],
            resolve=Names(inner=[["127.0.0.1"]]),
        )
    assert heads == []
