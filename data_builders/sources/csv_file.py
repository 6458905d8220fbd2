"""The rows of a CSV file. A field may go over several lines, and yet a quote left open spoils its own row alone.

A line on which a quoted field stays open is joined with the lines after it until they make a row of the header's width. Where they
do not within `MOST_LINES`, where a quote stands inside a field (it is then the opening one of a later field), or where a line on
the way is a whole row by itself, the quote was left open: that line is put aside, and reading goes on with the next.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

from videorouter.data_builders.rejects import Reject
from videorouter.data_builders.sources.encoding import NOT_UTF8, check_encoding
from videorouter.data_builders.sources.files import writable
from videorouter.data_builders.sources.rows import LONGEST_RAW, Malformed, Row

MOST_LINES = 100
"""Lines of one row."""
TELLING_WIDTH = 4
"""Fields that a line must have to be taken for a row of its own inside an open field: narrower ones look like running text."""
_OPEN = "unexpected end of data"


def csv_rows(path: Path, columns: tuple[str, ...] = ()) -> Iterator[Row | Reject]:
    """The rows of a CSV file with a header, as objects by column; a row of another width, or no UTF-8, is a `Reject`.

    A row's place is its first line. Raises `Malformed` where the header lacks one of `columns`, and for UTF-16.
    """
    check_encoding(path)
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        lines = file.readlines()
    header: list[str] | None = None
    at = 0
    while at < len(lines):
        values, count = _row(lines, at, len(header) if header else None)
        where, number, raw = f"{path.name}:{at + 1}", at + 1, "".join(lines[at : at + count]).rstrip("\r\n")
        at += count
        if isinstance(values, str):
            yield Reject(where, "source", "malformed", f"not a CSV row ({values})", writable(raw[:LONGEST_RAW]))
        elif not raw.strip():
            continue
        elif header is not None and writable(raw) != raw:
            yield Reject(where, "source", "malformed", NOT_UTF8, writable(raw[:LONGEST_RAW]))
        elif header is None:
            header = [name.strip() for name in values]
            if missing := [column for column in columns if column not in header]:
                raise Malformed(f"its header lacks {', '.join(missing)}")
        elif len(values) != len(header):
            problem = f"{len(values)} fields where the header has {len(header)}"
            yield Reject(where, "source", "malformed", problem, writable(raw[:LONGEST_RAW]))
        else:
            yield Row(where, number, dict(zip(header, values, strict=True)), raw)
    if header is None:
        raise Malformed("it is empty: a header is expected")


def _row(lines: list[str], at: int, width: int | None) -> tuple[list[str] | str, int]:
    """The fields of the row that begins at a line, or what is wrong with it; and its lines."""
    values = _fields(lines[at : at + 1])
    if values != _OPEN:
        return values, 1
    for end in range(at + 1, min(at + MOST_LINES, len(lines))):
        if '"' in lines[end]:
            joined = _fields(lines[at : end + 1])
            if isinstance(joined, list):
                if width is None or len(joined) == width:
                    return joined, end + 1 - at
                break
            if joined != _OPEN:
                break
        alone = _fields(lines[end : end + 1])
        if isinstance(alone, list) and width is not None and len(alone) == width >= TELLING_WIDTH:
            break
    return "a quote is left open", 1


def _fields(lines: list[str]) -> list[str] | str:
    """The fields of the row that these lines make, or what is wrong with it."""
    try:
        return next(csv.reader(lines, strict=True), [])
    except csv.Error as error:
        return str(error)
