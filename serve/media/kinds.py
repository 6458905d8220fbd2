"""What a file is by its first bytes, whatever it is called: a video, a picture, or nothing that is taken."""

from pathlib import Path
from typing import Literal

from videorouter.serve.errors import BadVideo
from videorouter.video.containers import HEAD, is_plain, refuse_lists
from videorouter.video.errors import ForbiddenContainer

Kind = Literal["video", "picture"]
PICTURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"BM", b"II*\0", b"MM\0*")
PICTURE_BRANDS = {b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1"}
VIDEOS = (
    b"OggS",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
    b"\0\0\x01\xba",
    b"\0\0\x01\xb3",
    b"\x06\x0e\x2b\x34",
    b"YUV4MPEG2 ",
)
"""Ogg, ASF, MPEG's program and video streams, MXF, raw frames of YUV4MPEG."""


def kind_of(head: bytes) -> Kind:
    """Of a file with these first bytes, of which `HEAD` are enough. Raises `BadVideo` for what is neither."""
    if not head:
        raise BadVideo("the file has zero bytes")
    if _is_picture(head):
        return "picture"
    if is_plain(head) or head.startswith((*VIDEOS, b"GIF8")) or _is_transport_stream(head):
        return "video"
    try:
        refuse_lists(Path("file"), head)
    except ForbiddenContainer as error:
        raise BadVideo(error.reason) from error
    raise BadVideo(
        "the file is neither a video (mp4, mov, mkv, webm, avi, flv, ogg, wmv, mpg, ts, mxf, gif) "
        "nor a picture (jpeg, png, webp, gif, bmp)"
    )


def read_kind(path: Path) -> Kind:
    """`kind_of` a file. Raises `BadVideo`."""
    with path.open("rb") as file:
        return kind_of(file.read(HEAD))


def _is_picture(head: bytes) -> bool:
    if head.startswith(b"GIF8"):
        return b"NETSCAPE2.0" not in head  # what makes a GIF repeat, as every animation does
    if head[4:8] == b"ftyp":
        return head[8:12] in PICTURE_BRANDS
    return head.startswith(PICTURES) or (head.startswith(b"RIFF") and head[8:12] == b"WEBP")


def _is_transport_stream(head: bytes) -> bool:
    """Packets of 188 bytes, behind four of time where a camera wrote them."""
    return any(
        all(head[at : at + 1] == b"G" for at in range(first, first + 3 * step, step))
        for first, step in ((0, 188), (4, 192))
    )
