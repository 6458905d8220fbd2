"""A picture that is not read is refused in plain words, whatever Pillow says of it."""

import io
from pathlib import Path

import pytest
from PIL import Image

from videorouter.serve.decoding import frames_of_pictures
from videorouter.serve.errors import BadVideo
from videorouter.serve.media.kinds import kind_of


def _picture(form: str) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(written, form)
    return written.getvalue()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (_picture("TIFF"), "none of the kinds"),
        (b"BM no picture", "none of the kinds"),
        (_picture("PNG")[:60], "broken"),
    ],
)
def test_it_says_which_picture_and_what_is_taken(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "good").write_bytes(_picture("PNG"))
    (tmp_path / "wrong").write_bytes(content)
    with pytest.raises(BadVideo, match=f"picture 2 of 2 is {told}.*PNG, JPEG, WebP, GIF or BMP") as raised:
        frames_of_pictures([tmp_path / "good", tmp_path / "wrong"], None, 32)
    assert "<" not in raised.value.message


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_the_kinds_that_are_named_are_read(tmp_path: Path, form: str) -> None:
    (tmp_path / "picture").write_bytes(_picture(form))
    assert frames_of_pictures([tmp_path / "picture"], None, 32).frames.shape == (1, 32, 32, 3)
    with pytest.raises(BadVideo) as raised:
        kind_of(b"nothing of the kind")
    named = raised.value.message.partition("picture (")[2]
    assert form.lower() in named
    assert "tiff" not in named
