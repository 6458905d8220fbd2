"""What a URL shows, told from its first bytes, its MIME type or its ending: clients send videos as `image_url` (ours)."""

import base64
import binascii
import re
from typing import Final, Literal
from urllib.parse import unquote_to_bytes, urlsplit

from videorouter.video.containers import EXTENSIONS

Kind = Literal["video", "picture", "audio", "tensor"]
VIDEO_ENDINGS: Final = tuple(ending for ending in EXTENSIONS if ending != ".gif")
"""A GIF by its ending is a picture, as its first bytes say of most."""
_LOOKED_AT: Final = 1024
"""Characters of a data URL's content: enough for two packets of an MPEG transport stream."""
_STILL_BRANDS: Final = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif")
_SOUND_BRANDS: Final = (b"M4A ", b"M4B ")
_ATOMS: Final = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_PICTURES: Final = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"II*\0", b"MM\0*")
_SOUNDS: Final = (b"ID3", b"fLaC")
_VIDEOS: Final = (b"\x1a\x45\xdf\xa3", b"FLV\x01", b"\0\0\x01\xba", b"\0\0\x01\xb3", b"\x30\x26\xb2\x75")
"""Matroska and WebM, Flash, MPEG program and elementary streams, ASF."""
_TENSORS: Final = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"\x93NUMPY")
"""What `torch.save`, pickle and NumPy write."""
_TENSOR_MIME: Final = re.compile(r"torch|pickle|numpy|npy|npz|tensor|embed")


def kind_of(url: str) -> Kind | None:
    """What `url` shows; None where neither content nor name tells. The bytes of a data URL are believed before its MIME type."""
    if not is_data_url(url):
        return _by_ending(url)
    mime = mime_type(url)
    if _TENSOR_MIME.search(mime):
        return "tensor"
    if found := _by_bytes(_first_bytes(url)):
        return found
    family = mime.partition("/")[0]
    return {"video": "video", "image": "picture", "audio": "audio"}.get(family)  # type: ignore[return-value]


def is_data_url(url: str) -> bool:
    """Whether the content stands in the URL itself."""
    return url[:5].lower() == "data:"


def mime_type(url: str) -> str:
    """Of a data URL, in lower case and without parameters; empty where it says none."""
    return re.split(r"[;,]", url[5:205], maxsplit=1)[0].strip().lower()


def _first_bytes(url: str) -> bytes:
    comma = url.find(",", 0, _LOOKED_AT)
    if comma < 0:
        return b""
    content = url[comma + 1 : comma + 1 + _LOOKED_AT]
    if not url[:comma].lower().rstrip().endswith("base64"):
        return unquote_to_bytes(content)
    letters = re.sub(r"[^A-Za-z0-9+/]", "", content.replace("-", "+").replace("_", "/").partition("=")[0])
    try:
        return base64.b64decode(letters[: len(letters) // 4 * 4])
    except binascii.Error:
        return b""


def _by_bytes(content: bytes) -> Kind | None:
    if content[4:8] in _ATOMS:
        brand = content[8:12] if content[4:8] == b"ftyp" else b""
        return "picture" if brand in _STILL_BRANDS else "audio" if brand in _SOUND_BRANDS else "video"
    if content[:4] == b"RIFF":
        return {b"AVI ": "video", b"WEBP": "picture", b"WAVE": "audio"}.get(content[8:12])  # type: ignore[return-value]
    beginnings: tuple[tuple[Kind, tuple[bytes, ...]], ...] = (
        ("video", _VIDEOS),
        ("picture", _PICTURES),
        ("audio", _SOUNDS),
        ("tensor", _TENSORS),
    )
    for kind, known in beginnings:
        if content.startswith(known):
            return kind
    for start, packet in ((0, 188), (4, 192)):  # a transport stream, and one with time codes
        if content[start : start + 1] == content[start + packet : start + packet + 1] == b"G":
            return "video"
    return None


def _by_ending(url: str) -> Kind | None:
    try:
        path = urlsplit(url).path
    except ValueError:
        return None
    return "video" if path.lower().endswith(VIDEO_ENDINGS) else None
