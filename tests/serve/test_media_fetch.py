"""What URLs lead to over http: only allowed hosts, at the addresses that were checked, in bounded bytes and seconds."""

import hashlib
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loopback.raw import raw_server, response
from tests.serve.media_servers import Names, Send, good, redirecting
from tests.serve.opening import MP4, seen
from videorouter.serve.errors import Forbidden, RequestError, Unreachable
from videorouter.serve.media import fetch

PUBLIC = "93.184.216.34"


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
    with pytest.raises(Forbidden, match="--video_hosts"):
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
    monkeypatch.setattr(fetch, "may_be_asked", lambda address, private_allowed: address == "127.0.0.2")
    names = Names(rebinding=[["127.0.0.2"], ["127.0.0.1"]])
    options = {"allowed_hosts": ["rebinding.example"], "fetch_timeout": 3.0, "resolve": names}
    with pytest.raises(Unreachable):  # nothing listens at the address that counts as public
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
    context.sni_callback = lambda _, name, __: indicated.append(name)
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
