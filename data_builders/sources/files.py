"""The rows of an annotation file, each with its place in the file: text, JSON lines or JSON."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from videorouter.data_builders.rejects import Reject
from videorouter.data_builders.sources.encoding import NOT_UTF8, utf8_content, utf8_lines
from videorouter.data_builders.sources.rows import LONGEST_RAW, Malformed, Row, json_kind


def text_rows(path: Path) -> Iterator[Row | Reject]:
    """The lines of a text file that are not blank; one that is no UTF-8 is a `Reject`."""
    for number, content in utf8_lines(path):
        where, raw = f"{path.name}:{number}", content.decode(errors="replace").strip()
        try:
            line = content.decode().strip()
            yield Row(where, number, line, line)
        except UnicodeDecodeError:
            yield Reject(where, "source", "malformed", NOT_UTF8, raw[:LONGEST_RAW])


def json_lines(path: Path) -> Iterator[Row | Reject]:
    """The objects of a JSONL file; a line that is no JSON is a `Reject`."""
    for number, line in utf8_lines(path):
        where, raw = f"{path.name}:{number}", line.decode(errors="replace")
        try:
            yield Row(where, number, json.loads(line), raw)
        except (ValueError, RecursionError) as error:
            yield Reject(where, "source", "malformed", f"not JSON ({error})", raw[:LONGEST_RAW])


def json_list(path: Path) -> Iterator[Row | Reject]:
    """The entries of a JSON file that holds one list. Raises `Malformed` for another."""
    entries = read_json(path)
    if not isinstance(entries, list):
        raise Malformed(f"a JSON list is expected, it holds {json_kind(entries)}")
    return (Row(f"{path.name}:{n}", n, entry, as_raw(entry)) for n, entry in enumerate(entries, start=1))


def json_list_or_lines(path: Path) -> Iterator[Row | Reject]:
    """A JSON list where the file begins with `[`, else JSONL."""
    return json_list(path) if first_byte(path) == b"[" else json_lines(path)


def first_byte(path: Path) -> bytes:
    """The first byte of a file that is not blank; none in an empty file."""
    return next((line.lstrip()[:1] for _, line in utf8_lines(path)), b"")


def json_entries(path: Path) -> Iterator[Row | Reject]:
    """The values of a JSON file that holds one object, each placed by its name. Raises `Malformed` for another."""
    entries = read_json(path)
    if not isinstance(entries, dict):
        raise Malformed(f"a JSON object is expected, it holds {json_kind(entries)}")
    for number, (name, entry) in enumerate(entries.items(), start=1):
        yield Row(f"{path.name}:{writable(name)}", number, entry, as_raw(entry))


def read_json(path: Path) -> Any:
    """A whole JSON file. Raises `Malformed` naming it."""
    try:
        return json.loads(utf8_content(path))
    except (ValueError, RecursionError) as error:
        raise Malformed(f"{path.name} is not JSON ({error})") from error


def as_raw(content: Any) -> str:
    """Content as a reject keeps it."""
    return writable(json.dumps(content, ensure_ascii=False)[:LONGEST_RAW])


def writable(text: str) -> str:
    """Text without the halves of characters that JSON may spell and no file can hold."""
    return text.encode(errors="replace").decode()
