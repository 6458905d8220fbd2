"""`data:` URLs (RFC 2397), read as browsers do: white space and percent escapes are taken, the declared type is not believed."""

import binascii
import string
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from videorouter.serve.errors import RequestError
from videorouter.serve.media.writing import too_large

ALPHABET = frozenset((string.ascii_letters + string.digits + "+/").encode())
WHITE = b" \t\n\f\r"
CHUNK = 4 * 2**18
"""Characters of base64 decoded at a time."""


def data_of(url: str, most: int) -> Iterator[bytes]:
    """The bytes of a `data:` URL in pieces; its size is checked before anything is decoded. Nothing runs before the first piece.

    Raises `RequestError` where it is malformed and `TooLarge` above `most` bytes.
    """
    declared, comma, payload = url[len("data:") :].partition(",")
    if not comma:
        raise RequestError("a data: URL has no comma between its type and its data: data:video/mp4;base64,AAAA...")
    if declared.rstrip().lower().endswith("base64") and ";" in declared:
        yield from _base64(declared, payload, most)
    else:
        yield from _percent(payload, most)


def _percent(payload: str, most: int) -> Iterator[bytes]:
    if (size := len(payload) - 2 * payload.count("%")) > most:
        raise too_large("the data: URL", most, size)
    data = _unescaped(payload)
    if len(data) > most:  # characters of several bytes, and percent signs that escape nothing
        raise too_large("the data: URL", most, len(data))
    yield data


def _unescaped(payload: str) -> bytes:
    try:
        return unquote_to_bytes(payload)
    except UnicodeEncodeError as error:  # half a surrogate pair, which JSON can hold
        raise RequestError("a data: URL has a character that no text has") from error


def _base64(declared: str, payload: str, most: int) -> Iterator[bytes]:
    try:
        text = _unescaped(payload) if "%" in payload else payload.encode("ascii")
    except UnicodeEncodeError as error:
        raise _invalid(declared, f"character {payload[error.start]!r} at {error.start}") from error
    text = text.translate(None, WHITE)
    text = text.removesuffix(b"=").removesuffix(b"=") if len(text) % 4 == 0 else text
    if (size := len(text) * 3 // 4) > most:
        raise too_large("the data: URL", most, size)
    if b"," in text and declared.lower().startswith("video/jpeg"):
        raise RequestError(
            "a data: URL lists several pictures (video/jpeg;base64,F1,F2): send each as an image_url part"
        )
    if len(text) % 4 == 1:
        raise _invalid(declared, f"{len(text)} characters, which is no whole number of bytes: it may have been cut")
    for start in range(0, len(text), CHUNK):
        piece = text[start : start + CHUNK]
        try:
            yield binascii.a2b_base64(piece + b"=" * (-len(piece) % 4), strict_mode=True)
        except binascii.Error as error:
            raise _invalid(declared, _first_foreign(piece, start)) from error


def _first_foreign(piece: bytes, start: int) -> str:
    for place, character in enumerate(piece):
        if character not in ALPHABET:
            return f"character {chr(character)!r} at {start + place}"
    return "its padding"


def _invalid(declared: str, why: str) -> RequestError:
    return RequestError(f"the base64 of a data: URL ({declared[:60]!r}) is invalid: {why}", code="invalid_base64")
