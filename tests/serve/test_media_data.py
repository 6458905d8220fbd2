"""data: URLs are read as browsers read them; what they hold is told by its bytes, and sizes are known before decoding."""

import asyncio
import base64
import hashlib
from pathlib import Path
from random import Random
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.serve.opening import MP4, PNG, left_in, see, seen
from videorouter.serve.errors import BadVideo, RequestError, TooLarge
from videorouter.serve.media import data_urls
from videorouter.serve.media.media import Media
from videorouter.serve.media.options import MediaOptions

TEXT = base64.b64encode(MP4).decode()


@pytest.mark.parametrize(
    "url",
    [
        f"data:video/mp4;base64,{TEXT}",
        f"data:video/mp4;base64,{TEXT.rstrip('=')}",
        f"data:;base64,{TEXT}",
        f"DATA:image/png;charset=x;BASE64,{TEXT}",
        f"data:video/mp4;base64,{quote(TEXT, safe='')}",
        " data:video/mp4;base64,\n"
        + "\r\n".join(TEXT[start : start + 76] for start in range(0, len(TEXT), 76))
        + " \t",
        "data:video/mp4," + quote(MP4, safe=""),
        "data:," + "".join(f"%{byte:02X}" for byte in MP4),
    ],
)
def test_every_form_gives_its_bytes(url: str, tmp_path: Path) -> None:
    file = seen(tmp_path, url)
    assert file.content == MP4
    assert (file.stored.kind, file.stored.size) == ("video", len(MP4))
    assert file.stored.sha256 == hashlib.sha256(MP4).hexdigest()


def test_a_file_of_many_pieces_is_whole(tmp_path: Path) -> None:
    content = MP4 * 1700 + b"!"
    text = base64.b64encode(content).decode()
    assert len(text) > 4 * data_urls.CHUNK
    for url in (
        f"data:;base64,{text}",
        f"data:;base64,{' '.join(text[start : start + 77] for start in range(0, len(text), 77))}",
        f"data:;base64,{text.replace('A', '%41')}",
        "data:," + "".join(f"%{byte:02x}" for byte in content),
    ):
        file = seen(tmp_path, url)
        assert file.content == content
        assert file.stored.sha256 == hashlib.sha256(content).hexdigest()


@given(st.binary(max_size=60), st.integers(1, 9), st.randoms(use_true_random=False))
def test_chunks_may_end_anywhere(content: bytes, chunk: int, random: Random) -> None:
    text = "".join(
        random.choice([character, f"%{ord(character):02x}"]) + random.choice(["", "", " ", "%20", "\n"])
        for character in base64.b64encode(content).decode()
    )
    plain = "".join(
        chr(byte) if byte < 128 and chr(byte).isalnum() and random.random() < 0.5 else f"%{byte:02X}"
        for byte in content
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(data_urls, "CHUNK", chunk)
        assert b"".join(data_urls.data_of(f"data:;base64,{text}", 100)) == content
        assert b"".join(data_urls.data_of(f"data:,{plain}", 100)) == content


@given(st.integers(0, 30), st.sampled_from("=!-_,\0\x7f"), st.integers(1, 9))
def test_a_foreign_character_is_found_wherever_chunks_end(place: int, foreign: str, chunk: int) -> None:
    text = "AAAA" * 8
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(data_urls, "CHUNK", chunk)
        with pytest.raises(RequestError, match=f"at {place}"):
            list(data_urls.data_of(f"data:;base64,{text[:place]}{foreign}{text[place + 1 :]}", 100))


@pytest.mark.parametrize(
    ("declared", "content", "kind"),
    [
        ("image/png", MP4, "video"),
        ("video/mp4", PNG, "picture"),
        ("video/mp4", b"RIFF\0\0\0\0WEBPVP8 ", "picture"),
        ("application/octet-stream", b"RIFF\0\0\0\0AVI LIST", "video"),
        ("", b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\xf2\x81\x04B\xf3\x81\x08B\x82\x84webm", "video"),
        ("text/plain", b"\0\0\0\x1cftypavif\0\0\0\0", "picture"),
        ("", (b"G" + bytes(187)) * 3, "video"),
    ],
)
def test_the_declared_type_is_not_believed(declared: str, content: bytes, kind: str, tmp_path: Path) -> None:
    assert seen(tmp_path, f"data:{declared};base64,{base64.b64encode(content).decode()}").stored.kind == kind


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("data:video/mp4;base64", "no comma"),
        ("data:video/mp4;base64,AAA$", r"'\$' at 3"),
        ("data:video/mp4;base64,AAAAA", "5 characters"),
        ("data:video/mp4;base64,AAAA=AAA", "'=' at 4"),
        ("data:video/mp4;base64,A===", "'=' at 1"),
        ("data:video/mp4;base64,AAA\u00e9", "at 3"),
        ("data:video/mp4;base64,AA\ud800A", "no text has"),
        ("data:video/mp4;base64,%41A\ud800A", "no text has"),
        ("data:video/mp4,\ud800", "no text has"),
        ("data:video/mp4;base64,AA-_", "'-' at 2"),
        ("data:video/jpeg;base64,AAAA,BBBB", "image_url"),
    ],
)
def test_malformed_ones_are_told_what_is_wrong(url: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=said) as raised:
        seen(tmp_path, url)
    assert raised.value.status == 400


def test_a_fault_far_inside_is_found_and_leaves_nothing(tmp_path: Path) -> None:
    text = base64.b64encode(MP4 * 1500).decode()
    place = 3 * data_urls.CHUNK + 12345
    with pytest.raises(RequestError, match=f"at {place}"):
        seen(tmp_path, f"data:video/mp4;base64,{text[:place]}!{text[place + 1 :]}")


@pytest.mark.parametrize(
    "content", [b"", b"#EXTM3U\nhttp://127.0.0.1/x", b"plain text", b"ffconcat version 1.0\nfile a", b"<MPD>"]
)
def test_what_is_no_video_or_picture_is_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(BadVideo) as raised:
        seen(tmp_path, "data:video/mp4;base64," + base64.b64encode(content).decode())
    assert raised.value.status == 422


@pytest.mark.parametrize("url", [f"data:;base64,{TEXT}", "data:," + quote(MP4, safe=""), "data:," + "\u00e9" * 1500])
def test_too_many_bytes_are_refused_before_they_are_decoded(
    url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(TooLarge, match="more than the"):
        seen(tmp_path, url, most_bytes=len(MP4) - 1)
    if url[5] != "," or "%" in url:
        monkeypatch.setattr("videorouter.serve.media.data_urls.binascii", None)
        monkeypatch.setattr("videorouter.serve.media.data_urls.unquote_to_bytes", None)
        with pytest.raises(TooLarge):
            seen(tmp_path, url, most_bytes=len(MP4) - 3)


def test_exactly_as_many_bytes_as_are_taken_are_taken(tmp_path: Path) -> None:
    for url in (f"data:;base64,{TEXT}", "data:," + quote(MP4, safe="")):
        assert seen(tmp_path, url, most_bytes=len(MP4)).content == MP4


def test_many_at_once_are_apart_and_leave_no_file(tmp_path: Path) -> None:
    media = Media(MediaOptions(), tmp_path)
    contents = [MP4 + bytes([number]) * number for number in range(100)]

    async def all_of_them() -> list[bytes]:
        urls = ["data:;base64," + base64.b64encode(content).decode() for content in contents]
        return [file.content for file in await asyncio.gather(*(see(media, url) for url in urls))]

    assert asyncio.run(all_of_them()) == contents
    assert left_in(tmp_path) == []
    media.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "cat.mp4",
        "/etc/passwd",
        "../a.mp4",
        "2b7e1516-28ae-d2a6-abf7-158809cf4f3c",
        "ftp://host/a",
        "blob:x",
        "file-",
        "\ud800:",
    ],
)
def test_what_is_no_address_is_refused_with_what_is(url: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"data:, https|no upload") as raised:
        seen(tmp_path, url)
    assert raised.value.status == (404 if url == "file-" else 400)
