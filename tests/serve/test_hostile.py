"""Hostile requests to a running server: no file but those offered, no address but those allowed, nothing deserialised."""

import base64
import io
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import torch
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.loopback.serving import served
from tests.serve.questions import about, data_url, videos_of
from tests.serve.running_server import RunningServer, running_server
from tests.video.counting import write_counting_video
from tests.video.test_lists_of_files import CONCAT, DASH, HLS, SDP

SECRET = "root:x:0:0"


class MediaServer:
    """On loopback: a video, redirects out of it, and what it was asked for."""

    def __init__(self, video: Path) -> None:
        self.asked: list[str] = []
        self._video = video
        self.application = Starlette(routes=[Route("/{way:path}", self._serve)])

    async def _serve(self, request: Request) -> Response:
        way = request.path_params["way"]
        self.asked.append(way)
        if way.startswith("to/"):
            return RedirectResponse(way.removeprefix("to/"))
        return FileResponse(self._video)


@pytest.fixture(scope="module")
def offered(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A media root: a video, links out of it, a pipe, and files that are no videos."""
    folder = tmp_path_factory.mktemp("offered")
    secret = folder.parent / "secret.mp4"
    secret.write_bytes(videos_of(world)[1].read_bytes())
    root = folder / "root"
    (root / "inner").mkdir(parents=True)
    (root / "a.mp4").write_bytes(videos_of(world)[0].read_bytes())
    (root / "out.mp4").symlink_to(secret)
    (root / "far").symlink_to(folder.parent)
    (root / "inside.mp4").symlink_to("a.mp4")
    (root / "passwd.mp4").symlink_to("/etc/passwd")
    (root / "notes.txt").write_text(SECRET)
    os.mkfifo(root / "pipe.mp4")
    return root


@pytest.fixture(scope="module")
def media(world: Path) -> Iterator[tuple[MediaServer, str]]:
    server = MediaServer(videos_of(world)[0])
    with served(server.application) as address:
        yield server, address


@pytest.fixture(scope="module")
def server(
    offered: Path, media: tuple[MediaServer, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    hosts = json.dumps([media[1].removeprefix("http://"), "localhost", "127.0.0.2"])
    options = ["--media_root", str(offered), "--video_hosts", hosts, "--most_megabytes", "2", "--frames", "8"]
    with running_server(tmp_path_factory.mktemp("hostile"), *options) as started:
        yield started
        assert "Traceback" not in started.said


def _refused(response: httpx2.Response, *statuses: int) -> str:
    """The message of a typed error that tells nothing of what is inside."""
    assert response.status_code in statuses, response.text
    message = str(response.json()["error"]["message"])
    assert SECRET not in response.text
    return message


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "{root}/../secret.mp4",
        "{root}/../../../../../../etc/passwd",
        "{root}/%2e%2e/secret.mp4",
        "{root}/inner/%2E%2E/%2e%2e/secret.mp4",
        "{root}/out.mp4",
        "{root}/far/secret.mp4",
        "{root}/passwd.mp4",
        "{root}",
        "{root}/",
        "{root}/inner",
        "{root}/pipe.mp4",
        "{root}/missing.mp4",
        "{root}/notes.txt",
        "{root}/a.mp4%00.mp4",
        "{root}x/a.mp4",
        "/proc/self/environ",
        "/proc/self/fd/0",
        "/dev/zero",
        "//example.com/a.mp4",
        "",
    ],
)
def test_no_file_outside_the_media_root_is_opened(server: RunningServer, offered: Path, path: str) -> None:
    url = "file://" + path.format(root=offered)
    started = time.monotonic()
    _refused(server.chat(about(url, "What is shown?")), 400, 403, 404, 422)
    assert time.monotonic() - started < 20


def test_a_link_that_stays_inside_is_followed(server: RunningServer, offered: Path) -> None:
    assert server.chat(about(f"file://{offered}/inside.mp4", "What is shown?")).status_code == 200


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/a.mp4",
        "http://192.168.1.1/a.mp4",
        "http://[::ffff:127.0.0.1]/a.mp4",
        "http://[::1]/a.mp4",
        "http://[::ffff:a9fe:a9fe]/a.mp4",
        "http://127.0.0.1/a.mp4",
        "http://127.0.0.2/a.mp4",
        "http://localhost/a.mp4",
        "http://2130706433/a.mp4",
        "http://0177.0.0.1/a.mp4",
        "http://0x7f.0.0.1/a.mp4",
        "http://127.1/a.mp4",
        "http://0/a.mp4",
        "http://{port}@169.254.169.254/a.mp4",
        "http://127.0.0.1:{port}@169.254.169.254/a.mp4",
        "http://127.0.0.1:{other}/a.mp4",
        "http://user:word@127.0.0.1:{port}/a.mp4",
        "http://evil.example/a.mp4",
        "http:///a.mp4",
        "http://",
        "ftp://127.0.0.1/a.mp4",
        "gopher://127.0.0.1:{port}/_x",
        "concat:/etc/passwd",
        "subfile,,start,0,end,0,,:/etc/passwd",
        "/etc/passwd",
        "blob:http://127.0.0.1/1",
        "javascript:alert(1)",
    ],
)
def test_no_address_is_asked_but_those_allowed_by_name(
    server: RunningServer, media: tuple[MediaServer, str], url: str
) -> None:
    """`localhost` is allowed without a port: for public addresses alone."""
    port = int(media[1].rpartition(":")[2])
    before = len(media[0].asked)
    _refused(server.chat(about(url.format(port=port, other=port - 1), "What is shown?")), 400, 403)
    assert len(media[0].asked) == before


def test_an_allowed_address_is_asked(server: RunningServer, media: tuple[MediaServer, str]) -> None:
    assert server.chat(about(f"{media[1]}/a.mp4", "What is shown?")).status_code == 200


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/a.mp4",
        "http://localhost/a.mp4",
        "http://127.0.0.1:1/a.mp4",
        "file:///etc/passwd",
        "data:video/mp4;base64,AAAA",
        "ftp://127.0.0.1/a.mp4",
        "//169.254.169.254/a.mp4",
    ],
)
def test_redirects_out_are_not_followed(server: RunningServer, media: tuple[MediaServer, str], target: str) -> None:
    _refused(server.chat(about(f"{media[1]}/to/{target}", "What is shown?")), 400, 403)
    assert media[0].asked[-1] == f"to/{target}"


def test_bombs_of_data_are_refused_before_they_fill_anything(server: RunningServer) -> None:
    """A picture of a few kilobytes that has 400 million pixels, and data beyond what is taken."""
    before = server.footprint()
    parts = [
        {"type": "image_url", "image_url": {"url": data_url(_huge_picture(number), "image/png")}} for number in (0, 1)
    ]
    body = {"messages": [{"role": "user", "content": [*parts, {"type": "text", "text": "What is shown?"}]}]}
    assert "pixels" in _refused(server.chat(body), 413)
    for url in (
        "data:video/mp4;base64," + "A" * 3_000_000,
        "data:," + "%00" * 900_000,
        "data:video/mp4," + "x" * 2_100_000,
    ):
        _refused(server.chat(about(url, "What is shown?")), 413, 422)
    after = server.footprint()
    assert after.memory < before.memory + 100_000_000
    assert after.files == before.files


@pytest.mark.parametrize("form", [HLS, CONCAT, DASH, SDP, "[playlist]\nFile1={target}\n"])
@pytest.mark.parametrize("beginning", ["", "\ufeff", "\n\n"])
def test_lists_of_files_are_refused_and_nothing_in_them_is_opened(
    server: RunningServer, offered: Path, media: tuple[MediaServer, str], form: str, beginning: str
) -> None:
    before = len(media[0].asked)
    for target in (f"{media[1]}/inner.mp4", f"file://{offered}/a.mp4", str(offered / "a.mp4")):
        content = (beginning + form.format(target=target)).encode()
        _refused(server.chat(about(data_url(content), "What is shown?")), 422)
        files = {"file": ("list.mp4", content)}
        _refused(httpx2.post(f"{server.address}/v1/files", files=files, timeout=30), 422)
    assert len(media[0].asked) == before
    assert server.get("/v1/files").json()["data"] == []


def _embeddings() -> str:
    written = io.BytesIO()
    torch.save(torch.zeros(4, 8), written)
    return base64.b64encode(written.getvalue()).decode()


class Malicious:
    """Unpickled, it makes a folder."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self._mark),)


def test_embeddings_of_clients_are_400_wherever_they_stand(server: RunningServer) -> None:
    held = _embeddings()
    plain = {"messages": [{"role": "user", "content": "What is shown?"}]}
    parts: list[Any] = [
        {"type": "image_embeds", "image_embeds": held},
        {"type": "video_embeds", "video_embeds": {"video": held}},
        {"type": "audio_embeds", "audio_embeds": held},
        {"image_embeds": held},
        {"type": "text", "text": "x", "prompt_embeds": held},
        {"type": "image_url", "image_url": {"url": f"data:application/x-torch;base64,{held}"}},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{held}"}},
    ]
    for part in parts:
        _refused(server.chat({"messages": [{"role": "user", "content": [part, "What is shown?"]}]}), 400, 422)
    for field in ("prompt_embeds", "precomputed_embeddings", "image_embeds"):
        _refused(server.chat(plain | {field: held}), 400)
        _refused(server.chat(plain | {"extra_body": {field: held}}), 400)
        _refused(server.chat(plain | {"mm_processor_kwargs": {"a": [{field: held}]}}), 400)


def test_no_pickle_is_loaded(server: RunningServer, tmp_path: Path) -> None:
    mark, written = tmp_path / "was-here", io.BytesIO()
    torch.save(Malicious(mark), written)
    for mime in ("video/mp4", "image/png", "application/octet-stream"):
        _refused(server.chat(about(data_url(written.getvalue(), mime), "What is shown?")), 400, 422)
    files = {"file": ("a.mp4", written.getvalue())}
    _refused(httpx2.post(f"{server.address}/v1/files", files=files, timeout=30), 422)
    assert not mark.exists()


@pytest.mark.parametrize(
    "path",
    [
        "/videos/../secret.mp4",
        "/videos/%2e%2e/secret.mp4",
        "/videos/..%2fsecret.mp4",
        "/videos//etc/passwd",
        "/videos/%2fetc%2fpasswd",
        "/videos/out.mp4",
        "/videos/far/secret.mp4",
        "/videos/passwd.mp4",
        "/videos/pipe.mp4",
        "/videos/notes.txt",
        "/videos/inner",
        "/videos/",
        "/videos/a.mp4%00",
        "/videos/missing.mp4",
        "/videos/" + "a" * 5000,
        "/frames/x/8/0",
        "/frames/" + "0" * 64 + "/8/0",
        "/frames/..%2f..%2fetc/8/0",
        "/frames/x/-1/0",
        "/frames/x/8/-1",
        "/frames/x/8/" + "9" * 5000,
        "/frames/x/8/1e9",
        "/frames/x/8/0x1",
        "/v1/files/..%2f..%2fetc",
        "/v1/models/..%2f..%2fetc%2fpasswd",
        "/page.css%00",
        "/..%2f..%2fetc%2fpasswd",
        "/%2e%2e/access.py",
        "/app.py",
    ],
)
def test_names_in_paths_lead_to_nothing_else(server: RunningServer, path: str) -> None:
    port = int(server.address.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        answered = b""
        while received := connection.recv(65_536):
            answered += received
    head, _, told = answered.partition(b"\r\n\r\n")
    assert int(head.split(b" ", 2)[1]) in (400, 403, 404, 405, 422), answered[:300]
    assert json.loads(told)["error"]["message"]


def test_offered_videos_are_listed_and_given(server: RunningServer, offered: Path) -> None:
    listed = [one["name"] for one in server.get("/videos").json()["data"]]
    assert listed == ["a.mp4", "inside.mp4"]
    assert server.get("/videos/a.mp4").content == (offered / "a.mp4").read_bytes()
    part = server.get("/videos/a.mp4", headers={"Range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, b"ftyp")


def test_a_kept_frame_is_no_larger_than_a_screen(server: RunningServer, tmp_path: Path) -> None:
    """Whatever size a file of some kilobytes says it has."""
    wide = write_counting_video(tmp_path / "wide.mp4", count=2, fps=1, side=4096, codec="mpeg4")
    video = server.chat(about(data_url(wide.read_bytes()), "What is shown?")).json()["videorouter"]["video"]
    frame = server.get(f"/frames/{video['sha256']}/{video['sampled']}/0")
    with Image.open(io.BytesIO(frame.content)) as picture:
        assert picture.size == (768, 768)


@pytest.mark.parametrize("size", [70_000, 2_000_000])
def test_giant_headers_are_refused(server: RunningServer, size: int) -> None:
    port = int(server.address.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        try:
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Much: " + b"a" * size)
            answered = connection.recv(65_536)
        except (ConnectionResetError, BrokenPipeError):
            answered = b""
    assert answered[:12] in (b"", b"HTTP/1.1 400", b"HTTP/1.1 431")
    assert server.get("/health").status_code == 200


def test_hundreds_of_slow_connections_hold_up_nobody(server: RunningServer) -> None:
    port = int(server.address.rpartition(":")[2])
    before = server.footprint()
    connections = []
    heads = (b"", b"GET /hea", b"POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nabc")
    try:
        for number in range(300):
            connections.append(socket.create_connection(("127.0.0.1", port), timeout=20))
            connections[-1].sendall(heads[number % 3])
        started = time.monotonic()
        assert server.get("/health").json()["status"] == "ok"
        assert time.monotonic() - started < 5
        assert server.chat({"messages": [{"role": "user", "content": "Hello."}], "max_tokens": 2}).status_code == 200
    finally:
        for connection in connections:
            connection.close()
    until = time.monotonic() + 15
    while server.footprint().descriptors > before.descriptors and time.monotonic() < until:
        time.sleep(0.1)
    assert server.footprint().descriptors <= before.descriptors
    assert server.footprint().files == before.files


def _huge_picture(shade: int) -> bytes:
    """A PNG that says 20,000 by 20,000 pixels, all of one shade."""
    import struct
    import zlib

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    rows = zlib.compress((b"\0" + bytes([shade]) * 2500) * 2000)
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
