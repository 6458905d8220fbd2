"""file:// URLs lead to regular files under --media_root and nowhere else, however paths are written and links change."""

import asyncio
import hashlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from tests.serve.opening import MP4, PNG, see, seen
from tests.video.counting import write_counting_video
from videorouter.serve.errors import BadVideo, Forbidden, NotThere, RequestError, TooLarge
from videorouter.serve.media.local_files import SETTLED, LocalFiles
from videorouter.serve.media.media import Media
from videorouter.serve.media.options import MediaOptions
from videorouter.video.decode import sample_frames
from videorouter.video.worker import DecodeWorker


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "deep").mkdir(parents=True)
    (root / "a.mp4").write_bytes(MP4)
    (root / "deep" / "b c%.mp4").write_bytes(MP4)
    (tmp_path / "secret.mp4").write_bytes(MP4)
    (tmp_path / "root-beside").mkdir()
    (tmp_path / "root-beside" / "a.mp4").write_bytes(MP4)
    return root


@pytest.mark.parametrize(
    "path",
    [
        "/a.mp4",
        "/deep/b%20c%25.mp4",
        "/deep/b c%25.mp4",
        "/./deep//../a.mp4",
        "/%61.mp4",
        "/inside.mp4",
        "/in/b c%.mp4",
    ],
)
def test_files_under_the_root_are_opened(path: str, root: Path, tmp_path: Path) -> None:
    (root / "inside.mp4").symlink_to("deep/../a.mp4")
    (root / "in").symlink_to(root / "deep")
    for start in ("file://", "file://localhost", "FILE://"):
        file = seen(tmp_path / "kept", f"{start}{root}{path}", media_root=root)
        assert file.content == MP4
        assert (file.stored.kind, file.stored.size) == ("video", len(MP4))
        assert file.stored.sha256 == hashlib.sha256(MP4).hexdigest()
        assert file.stored.name in ("a.mp4", "b c%.mp4")


def test_the_root_may_itself_be_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    for folder in (root, tmp_path / "link"):
        assert seen(tmp_path / "kept", f"file://{folder}/a.mp4", media_root=tmp_path / "link").content == MP4


def test_without_a_root_none_is_opened(root: Path, tmp_path: Path) -> None:
    with pytest.raises(Forbidden, match="--media_root"):
        seen(tmp_path / "kept", f"file://{root}/a.mp4")


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.mp4",
        "/%2e%2e/secret.mp4",
        "/%2E%2E%2Fsecret.mp4",
        "/deep/..%2f../secret.mp4",
        "/../root-beside/a.mp4",
        "-beside/a.mp4",
        "/out.mp4",
        "/folder/secret.mp4",
        "/chain.mp4",
        "/absolute.mp4",
        "/../nothing.mp4",
        "",
        "/",
        "/deep",
        "/deep/",
        "/pipe",
        "/loop",
        "/socket",
        "/deep/../../../../../../../../../../etc/passwd",
    ],
)
def test_nothing_else_is_opened(path: str, root: Path, tmp_path: Path) -> None:
    (root / "out.mp4").symlink_to("../secret.mp4")
    (root / "absolute.mp4").symlink_to(tmp_path / "secret.mp4")
    (root / "folder").symlink_to("..")
    (root / "chain.mp4").symlink_to("out.mp4")
    (root / "loop").symlink_to("loop")
    os.mkfifo(root / "pipe")
    import socket

    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(root / "socket"))
    start = time.monotonic()
    with pytest.raises(Forbidden) as raised:
        seen(tmp_path / "kept", f"file://{root}{path}", media_root=root)
    assert time.monotonic() - start < 5
    assert str(tmp_path) not in raised.value.message


@pytest.mark.parametrize(
    "device", ["/dev/zero", "/dev/null", "/proc/self/environ", "/proc/self/fd/0", "/proc/self/root/etc/passwd"]
)
def test_devices_and_what_the_kernel_makes_up_are_not_media(device: str, root: Path, tmp_path: Path) -> None:
    with pytest.raises(Forbidden):
        seen(tmp_path / "kept", f"file://{device}", media_root=root)
    (root / "link").symlink_to(device)
    with pytest.raises(Forbidden):
        seen(tmp_path / "kept", f"file://{root}/link", media_root=root)


def test_a_device_under_the_root_is_no_regular_file(tmp_path: Path) -> None:
    with pytest.raises(Forbidden, match="no regular file"):
        seen(tmp_path, "file:///dev/zero", media_root=Path("/dev"))


@pytest.mark.parametrize(
    "url",
    [
        "file://{root}/a.mp4%00.png",
        "file://{root}/a\0.mp4",
        "file://elsewhere{root}/a.mp4",
        "file://127.0.0.1{root}/a.mp4",
        "file:a.mp4",
        "file:{root}/a.mp4",
        "file://a.mp4",
        "file://",
        "file://{root}/\ud800",
    ],
)
def test_malformed_ones_are_told_what_is_wrong(url: str, root: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="a file:// URL") as raised:
        seen(tmp_path / "kept", url.format(root=root), media_root=root)
    assert raised.value.status == 400


def test_what_is_missing_too_large_or_no_video_is_said(root: Path, tmp_path: Path) -> None:
    (root / "text.mp4").write_text("nothing")
    (root / "list.mp4").write_text("#EXTM3U\n")
    (root / "empty.mp4").write_bytes(b"")
    (root / "a.png").write_bytes(PNG)
    with pytest.raises(NotThere):
        seen(tmp_path / "kept", f"file://{root}/nothing.mp4", media_root=root)
    for long in ("x" * 300, "x/" * 3000):
        with pytest.raises((NotThere, Forbidden)):
            seen(tmp_path / "kept", f"file://{root}/{long}", media_root=root)
    with pytest.raises(TooLarge, match=f"{len(MP4):,} bytes"):
        seen(tmp_path / "kept", f"file://{root}/a.mp4", media_root=root, most_bytes=100)
    for name in ("text", "list", "empty"):
        with pytest.raises(BadVideo):
            seen(tmp_path / "kept", f"file://{root}/{name}.mp4", media_root=root)
    assert seen(tmp_path / "kept", f"file://{root}/a.png", media_root=root).stored.kind == "picture"


def swap(root: Path, tmp_path: Path, done: Event) -> None:
    """Until done, `root/deep/v.mp4` is by turns a file, a link to one outside, and in a folder that is a link to outside."""
    inside, outside = root / "deep", tmp_path / "outside"
    outside.mkdir()
    (outside / "v.mp4").write_bytes(b"\0\0\0\x18ftypSECRET")
    (inside / "v.mp4").write_bytes(MP4)
    while not done.is_set():
        (inside / "new").symlink_to(outside / "v.mp4")
        (inside / "new").replace(inside / "v.mp4")
        (inside / "new").write_bytes(MP4)
        (inside / "new").replace(inside / "v.mp4")
        inside.rename(root / "away")
        inside.symlink_to(outside)
        inside.unlink()
        (root / "away").rename(inside)


def test_a_link_that_appears_while_a_file_is_opened_is_not_followed(root: Path, tmp_path: Path) -> None:
    done = Event()
    thread = Thread(target=swap, args=(root, tmp_path, done), daemon=True)
    files = LocalFiles(root, 2**20)
    thread.start()
    outcomes = {"opened": 0, "refused": 0}
    try:
        end = time.monotonic() + 4
        while time.monotonic() < end:
            try:
                _, descriptor = files.open(f"file://{root}/deep/v.mp4")
            except (Forbidden, NotThere, BadVideo):
                outcomes["refused"] += 1
                continue
            with os.fdopen(descriptor, "rb") as file:
                assert b"SECRET" not in file.read()
            outcomes["opened"] += 1
    finally:
        done.set()
        thread.join()
    assert min(outcomes.values()) > 20, outcomes


def swapped(before: Path, after: Path) -> Callable[[Path], bytes]:
    def read(path: Path) -> bytes:
        after.replace(before)
        return path.read_bytes()

    return read


def test_what_is_read_is_what_was_checked_though_another_file_takes_its_name(root: Path, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"another")

    async def read() -> bytes:
        async with Media(MediaOptions(media_root=root), tmp_path / "kept").opened(
            f"file://{root}/a.mp4", "me"
        ) as stored:
            return swapped(root / "a.mp4", tmp_path / "other")(stored.path)

    assert asyncio.run(read()) == MP4
    assert (root / "a.mp4").read_bytes() == b"another"


def test_a_decoding_process_reads_an_opened_file(root: Path, tmp_path: Path) -> None:
    write_counting_video(root / "film.mp4")

    async def total() -> int:
        worker = DecodeWorker()
        try:
            async with Media(MediaOptions(media_root=root), tmp_path / "kept").opened(
                f"file://{root}/film.mp4", "me"
            ) as stored:
                return worker.run(60, sample_frames, stored.path, 4).total
        finally:
            worker.close()

    assert asyncio.run(total()) == 60


def test_a_hash_is_remembered_until_the_file_changes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def sha256() -> str:
        stored, descriptor = files.open(f"file://{root}/a.mp4")
        os.close(descriptor)
        return stored.sha256

    files, hashed = LocalFiles(root, 2**20), list[int]()
    digest = hashlib.file_digest

    def counted(file: Any, name: str) -> Any:
        hashed.append(1)
        return digest(file, name)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    assert sha256() == sha256() == hashlib.sha256(MP4).hexdigest()
    assert len(hashed) == 2  # changed just now: it may change again within the same tick of the clock
    settled = time.time_ns() - int(10 * SETTLED * 1e9)
    os.utime(root / "a.mp4", ns=(settled, settled))
    assert sha256() == sha256() == sha256()
    assert len(hashed) == 3
    (root / "new").write_bytes(MP4[::-1].replace(MP4[::-1][:12], MP4[:12], 1))
    os.utime(root / "new", ns=(settled, settled))
    assert (root / "new").stat().st_size == len(MP4)
    shutil.move(root / "new", root / "a.mp4")  # of equal size and time: another file all the same
    assert sha256() == hashlib.sha256((root / "a.mp4").read_bytes()).hexdigest() != hashlib.sha256(MP4).hexdigest()


def test_a_request_that_is_cancelled_while_a_file_is_hashed_leaves_it_closed(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.serve.opening import descriptors

    hashing, go = Event(), Event()
    digest = hashlib.file_digest

    def waiting(file: Any, name: str) -> Any:
        hashing.set()
        go.wait(10)
        return digest(file, name)

    monkeypatch.setattr(hashlib, "file_digest", waiting)

    async def cancelled() -> tuple[int, int]:
        media = Media(MediaOptions(media_root=root), tmp_path / "kept")
        before = descriptors()
        task = asyncio.ensure_future(see(media, f"file://{root}/a.mp4"))
        while not hashing.is_set():
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go.set()
        for _ in range(500):
            if descriptors() == before:
                break
            await asyncio.sleep(0.01)
        return before, descriptors()

    before, after = asyncio.run(cancelled())
    assert before == after
