"""Uploads are kept for their owner alone, within a bound of bytes, and never vanish under who reads them."""

import asyncio
import hashlib
import itertools
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.serve.opening import MP4, PNG, descriptors, left_in, see
from videorouter.serve.errors import BadVideo, Busy, DiskFull, NotThere, TooLarge
from videorouter.serve.media import uploads
from videorouter.serve.media.media import Media
from videorouter.serve.media.options import MediaOptions
from videorouter.serve.media.uploads import Upload

SIZE = len(MP4)


async def pieces_of(content: bytes, step: int = 700, pause: float = 0.0) -> AsyncIterator[bytes]:
    for start in range(0, len(content), step):
        await asyncio.sleep(pause)
        yield content[start : start + step]


async def uploaded(media: Media, content: bytes = MP4, name: str = "a.mp4", owner: str = "me") -> Upload:
    return await media.upload(pieces_of(content), name, owner)


def bounded(folder: Path, files: float = 3) -> Media:
    return Media(MediaOptions(most_bytes=SIZE, upload_bytes=int(files * SIZE)), folder)


def test_an_upload_is_opened_by_its_id_until_it_is_deleted(tmp_path: Path) -> None:
    media = Media(MediaOptions(), tmp_path)

    async def use() -> None:
        upload = await uploaded(media)
        assert upload.id.startswith("file-")
        assert upload.sha256 == hashlib.sha256(MP4).hexdigest()
        assert (upload.name, upload.size, upload.kind) == ("a.mp4", SIZE, "video")
        assert abs(upload.created - time.time()) < 5
        for _ in range(2):
            file = await see(media, upload.id)
            assert file.content == MP4
            assert (file.stored.sha256, file.stored.name, file.stored.kind) == (upload.sha256, "a.mp4", "video")
        assert media.uploads("me") == [upload]
        media.delete(upload.id, "me")
        with pytest.raises(NotThere):
            await see(media, upload.id)
        with pytest.raises(NotThere):
            media.delete(upload.id, "me")
        assert media.uploads("me") == []
        assert left_in(tmp_path) == []

    asyncio.run(use())


def test_another_owners_upload_is_not_there(tmp_path: Path) -> None:
    media = Media(MediaOptions(), tmp_path)

    async def use() -> None:
        mine, theirs = await uploaded(media), await uploaded(media, owner="they")
        assert mine.id != theirs.id
        messages = []
        for identity in (theirs.id, f"file-{'0' * 32}"):
            with pytest.raises(NotThere) as raised:
                await see(media, identity, "me")
            messages.append(raised.value.message.replace(identity, ""))
            with pytest.raises(NotThere):
                media.delete(identity, "me")
        assert messages[0] == messages[1]  # whether it exists elsewhere is not told
        assert (media.uploads("me"), media.uploads("they")) == ([mine], [theirs])
        assert (await see(media, theirs.id, "they")).content == MP4

    asyncio.run(use())


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\videos\\a.mp4", "a.mp4"),
        ("/", "file"),
        ("", "file"),
        ("a\0b\x1b[31m\n.mp4", "ab[31m.mp4"),
        ("gp4\u202etxt.exe", "gp4txt.exe"),
        ("x" * 5000, "x" * 200),
        ("\ud800.mp4", ".mp4"),
    ],
)
def test_a_name_is_shown_and_never_part_of_a_path(name: str, shown: str, tmp_path: Path) -> None:
    media = Media(MediaOptions(), tmp_path / "kept")
    upload = asyncio.run(uploaded(media, name=name))
    assert upload.name == shown
    assert left_in(tmp_path) == [upload.id]


@pytest.mark.parametrize(
    ("content", "error"),
    [(b"", BadVideo), (b"text", BadVideo), (b"#EXTM3U\na.ts\n", BadVideo), (MP4 + b"!", TooLarge)],
)
def test_what_is_not_taken_leaves_nothing(content: bytes, error: type[Exception], tmp_path: Path) -> None:
    media = bounded(tmp_path)
    with pytest.raises(error):
        asyncio.run(uploaded(media, content))
    assert left_in(tmp_path) == []
    assert media.uploads("me") == []
    for _ in range(3):  # and takes no space
        asyncio.run(uploaded(media))
    assert len(media.uploads("me")) == 3


def test_the_longest_unused_give_way_to_new_ones(tmp_path: Path) -> None:
    media = bounded(tmp_path)

    async def use() -> None:
        first, second, third = [await uploaded(media, owner=owner) for owner in ("me", "you", "me")]
        await see(media, first.id)
        fourth = await uploaded(media)
        assert {upload.id for upload in media.uploads("me")} == {first.id, third.id, fourth.id}
        assert media.uploads("you") == []
        with pytest.raises(NotThere):
            await see(media, second.id, "you")
        assert sorted(left_in(tmp_path)) == sorted([first.id, third.id, fourth.id])

    asyncio.run(use())


def test_what_is_read_does_not_give_way(tmp_path: Path) -> None:
    media = bounded(tmp_path, files=2)

    async def use() -> None:
        first, second = await uploaded(media), await uploaded(media)
        async with media.opened(first.id, "me") as stored:
            third = await uploaded(media)
            assert {upload.id for upload in media.uploads("me")} == {first.id, third.id}
            async with media.opened(third.id, "me"):
                with pytest.raises(Busy) as raised:
                    await uploaded(media)
                assert raised.value.headers["Retry-After"]
            assert stored.path.read_bytes() == MP4
        await uploaded(media)
        assert len(left_in(tmp_path)) == 2
        assert second.id not in left_in(tmp_path)

    asyncio.run(use())


def test_a_deleted_upload_stays_for_those_who_read_it_and_takes_space_until_then(tmp_path: Path) -> None:
    media = bounded(tmp_path, files=1)

    async def use() -> None:
        upload = await uploaded(media)
        async with media.opened(upload.id, "me") as first, media.opened(upload.id, "me") as second:
            media.delete(upload.id, "me")
            assert first.path.read_bytes() == second.path.read_bytes() == MP4
            with pytest.raises(NotThere):
                await see(media, upload.id)
            with pytest.raises(Busy):
                await uploaded(media)
        assert left_in(tmp_path) == []
        await uploaded(media)

    asyncio.run(use())


def test_uploads_that_come_at_once_are_counted_while_they_come(tmp_path: Path) -> None:
    media = bounded(tmp_path, files=2)

    async def use() -> list[Upload | BaseException]:
        many = (media.upload(pieces_of(MP4, pause=0.02), "a", "me") for _ in range(6))
        coming = asyncio.gather(*many, return_exceptions=True)
        peak = 0
        while not coming.done():
            peak = max(peak, sum(path.stat().st_size for path in (tmp_path / "uploads").iterdir()))
            await asyncio.sleep(0.005)
        assert peak <= 2 * SIZE
        return await coming

    outcomes = asyncio.run(use())
    assert {type(outcome) for outcome in outcomes} == {Upload, Busy}
    assert len(left_in(tmp_path)) == len(media.uploads("me")) <= 2


def test_uploads_are_bounded_in_number_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(uploads, "MANY", 5)
    media = Media(MediaOptions(), tmp_path)

    async def use() -> None:
        for _ in range(12):
            await uploaded(media, PNG)

    asyncio.run(use())
    assert len(left_in(tmp_path)) == len(media.uploads("me")) == 5


def test_a_client_that_leaves_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    class ClientGone(Exception):
        pass

    async def broken() -> AsyncIterator[bytes]:
        yield MP4
        raise ClientGone

    async def endless() -> AsyncIterator[bytes]:
        for _ in itertools.count():
            await asyncio.sleep(0.01)
            yield MP4[:10]

    media = bounded(tmp_path)

    async def use() -> None:
        before = descriptors()
        with pytest.raises(ClientGone):
            await media.upload(broken(), "a", "me")
        coming = asyncio.ensure_future(media.upload(endless(), "a", "me"))
        await asyncio.sleep(0.1)
        assert len(left_in(tmp_path)) == 1
        coming.cancel()
        with pytest.raises(asyncio.CancelledError):
            await coming
        assert descriptors() == before

    asyncio.run(use())
    assert left_in(tmp_path) == []
    for _ in range(3):
        asyncio.run(uploaded(media))
    assert len(media.uploads("me")) == 3


def test_a_full_disk_is_told_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    media = Media(MediaOptions(), tmp_path)

    def write(self: object, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("videorouter.serve.media.writing._HashedFile.write", write)
    with pytest.raises(DiskFull, match="disk is full"):
        asyncio.run(uploaded(media))
    assert left_in(tmp_path) == []


def test_a_folder_serves_one_server_and_is_empty_at_its_start_and_end(tmp_path: Path) -> None:
    first = Media(MediaOptions(), tmp_path)
    with pytest.raises(ValueError, match="another server"):
        Media(MediaOptions(), tmp_path)
    asyncio.run(uploaded(first))
    (tmp_path / "passing" / "left-by-a-kill").write_bytes(MP4)
    assert len(left_in(tmp_path)) == 2
    first.close()
    assert left_in(tmp_path) == []
    (tmp_path / "uploads" / "left-by-a-kill").write_bytes(MP4)
    second = Media(MediaOptions(), tmp_path)
    assert left_in(tmp_path) == []
    second.close()


def test_options_that_cannot_hold_are_refused(tmp_path: Path) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"media_root": tmp_path / "nothing"}, "--media_root"),
        ({"most_bytes": 0}, "most_bytes"),
        ({"most_bytes": 10, "upload_bytes": 9}, "--uploads_gb"),
        ({"fetch_timeout": 0.0}, "fetch_timeout"),
        ({"most_redirects": -1}, "most_redirects"),
    ]
    for options, told in wrong:
        with pytest.raises(ValueError, match=told):
            MediaOptions(**options)
