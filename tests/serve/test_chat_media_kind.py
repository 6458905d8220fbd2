"""What a URL shows is told from real files' bytes, whatever MIME type a client writes."""

import base64
import io

import pytest
import torch
from PIL import Image

from tests.serve.chat_bodies import data_url, video
from videorouter.serve.chat.media_kind import kind_of

CONTAINERS = {
    "mp4": "mpeg4",
    "mov": "mpeg4",
    "3gp": "mpeg4",
    "matroska": "mpeg4",
    "webm": "libvpx",
    "avi": "mpeg4",
    "mpegts": "mpeg2video",
    "flv": "flv",
    "asf": "msmpeg4",
    "mpeg": "mpeg2video",
}
WRONG = "image/png"


@pytest.mark.parametrize("container", CONTAINERS)
def test_videos_are_known_by_their_bytes(container: str) -> None:
    content = video(container, CONTAINERS[container])
    assert kind_of(data_url(content, WRONG)) == "video"
    assert kind_of(data_url(content, f"{WRONG};charset=utf-8")) == "video"


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"])
def test_pictures_are_known_by_their_bytes(form: str) -> None:
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, format=form)
    assert kind_of(data_url(file.getvalue(), "video/mp4")) == "picture"


@pytest.mark.parametrize("packed", [True, False])
def test_tensors_are_known_by_their_bytes_and_by_their_mime_type(packed: bool) -> None:
    file = io.BytesIO()
    torch.save(torch.zeros(2, 2), file, _use_new_zipfile_serialization=packed)
    assert kind_of(data_url(file.getvalue(), WRONG)) == "tensor"
    assert kind_of("data:application/x-torch;base64,AAAA") == "tensor"


def test_base64_may_be_url_safe_broken_into_lines_or_left_out() -> None:
    content = video()
    safe = base64.urlsafe_b64encode(content).decode()
    lines = base64.encodebytes(content).decode()
    escaped = "".join(f"%{byte:02X}" for byte in content)
    for url in (f"data:{WRONG};base64,{safe}", f"data:{WRONG};base64,{lines}", f"DATA:{WRONG},{escaped}"):
        assert kind_of(url) == "video"


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("data:video/mp4;base64,AAAA", "video"),
        ("data:image/png;base64,AAAA", "picture"),
        ("data:audio/wav;base64,AAAA", "audio"),
        ("data:,", None),
        ("data:", None),
        ("data:application/octet-stream;base64,****", None),
        ("https://a.example/x.mkv?y=1#z", "video"),
        ("https://a.example/x.jpg?y=x.mkv", None),
        ("https://[bad/x.mp4", None),
        ("file-abc", None),
        ("", None),
    ],
)
def test_else_mime_type_or_ending_tell(url: str, kind: str | None) -> None:
    assert kind_of(url) == kind
