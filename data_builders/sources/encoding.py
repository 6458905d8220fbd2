"""Bytes of an annotation file or list: UTF-8, with or without a byte order mark. UTF-16 and UTF-32 are refused by name."""

import codecs
from collections.abc import Iterator
from pathlib import Path

from videorouter.data_builders.sources.rows import Malformed

NOT_UTF8 = "it is not UTF-8: save the file as UTF-8"
"""Why a row is put aside of which bytes would have to be guessed."""
_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),  # begins like UTF-16's
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


def utf8_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file that are not blank, with their numbers from 1, without their ends. Raises `Malformed` for UTF-16."""
    check_encoding(path)
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            content = (line.removeprefix(codecs.BOM_UTF8) if number == 1 else line).rstrip(b"\r\n")
            if content.strip():
                yield number, content


def utf8_content(path: Path) -> bytes:
    """A whole file. Raises `Malformed` for UTF-16."""
    check_encoding(path)
    return path.read_bytes().removeprefix(codecs.BOM_UTF8)


def check_encoding(path: Path) -> None:
    """Raises `Malformed` for UTF-16 and UTF-32, told by their mark or, without one, by zero bytes between the first letters."""
    with path.open("rb") as file:
        head = file.read(64)
    found = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    if found is None and _has_zeros_between(head):
        found = "UTF-16"
    if found is not None:
        raise Malformed(f"{path.name} is {found} text: save it as UTF-8")


def _has_zeros_between(head: bytes) -> bool:
    """Whether every other byte of a beginning is zero, as of ASCII letters in UTF-16."""
    return len(head) > 3 and any(not any(head[start::2]) and all(head[1 - start :: 2]) for start in (0, 1))
