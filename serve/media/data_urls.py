"""`data:` URLs (RFC 2397), read as browsers do: white space and percent escapes are taken, the declared type is not believed."""

import binascii
import string
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from videorouter.serve.errors import RequestError
from videorouter.serve.media.writing import too_large

ALPHABET = frozenset((string.ascii_letters + string.digits + "+/").encode())
WHITE = " \t\n\f\r"
CHUNK = 2**20
"""Characters read at a time: a URL may have a thousand times as many, and is not copied as a whole."""


def data_of(url: str, most: int) -> Iterator[bytes]:
    """The bytes of a `data:` URL in pieces; its size is checked before anything is decoded. Nothing runs before the first piece.

    Raises `RequestError` where it is malformed and `TooLarge` where it has clearly more than `most` bytes.
    """
    start = url.find(",") + 1
    if not start:
        raise RequestError("a data: URL has no comma between its type and its data: data:video/mp4;base64,AAAA...")
    declared = url[len("data:") : min(start - 1, 200)].strip().lower()
    escapes = 2 * url.count("%", start)
    if declared.endswith(";base64"):
        characters = len(url) - start - escapes - sum(url.count(white, start) for white in WHITE)
        size, pieces = characters * 3 // 4 - 2, _base64(declared, url, start)  # two of them may be padding
    else:
        size, pieces = len(url) - start - escapes, _unescaped(url, start)
    if size > most:
        raise too_large("the data: URL", most, size)
    yield from pieces


def _unescaped(url: str, start: int) -> Iterator[bytes]:
    """What follows `start`, without percent escapes."""
    held = ""
    for place in range(start, len(url), CHUNK):
        text = held + url[place : place + CHUNK]
        cut = text.rfind("%", len(text) - 2)  # an escape may go on in the next chunk
        held = text[cut:] if cut >= 0 and place + CHUNK < len(url) else ""
        try:
            yield unquote_to_bytes(text.removesuffix(held))
        except UnicodeEncodeError as error:  # half a surrogate pair, which JSON can hold
            raise RequestError("a data: URL has a character that no text has") from error


def _base64(declared: str, url: str, start: int) -> Iterator[bytes]:
    left, done = b"", 0
    for piece in _unescaped(url, start):
        left += piece.translate(None, WHITE.encode())
        whole = max(0, len(left) - 1) // 4 * 4  # what ends the text may be padded
        yield _decoded(declared, left[:whole], done)
        left, done = left[whole:], done + whole
    if len(left) % 4 == 0:
        left = left.removesuffix(b"=").removesuffix(b"=")
    if len(left) % 4 == 1:
        raise _invalid(
            declared, f"it has {done + len(left)} characters, which is no number of bytes: it may have been cut"
        )
    yield _decoded(declared, left, done)


def _decoded(declared: str, text: bytes, done: int) -> bytes:
    foreign = (
        next((place for place, character in enumerate(text) if character not in ALPHABET), None) if _odd(text) else None
    )
    if foreign is None:
        return binascii.a2b_base64(text + b"=" * (-len(text) % 4))
    if text[foreign] == ord(",") and declared.startswith("video/jpeg"):
        raise RequestError(
            "a data: URL lists several pictures (video/jpeg;base64,F1,F2): send each as an image_url part"
        )
    raise _invalid(declared, f"character {chr(text[foreign])!r} at {done + foreign}, white space not counted")


def _odd(text: bytes) -> bool:
    return bool(text.translate(None, bytes(ALPHABET)))


def _invalid(declared: str, why: str) -> RequestError:
    return RequestError(f"the base64 of a data: URL ({declared[:60]!r}) is invalid: {why}", code="invalid_base64")
