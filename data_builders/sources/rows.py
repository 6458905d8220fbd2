"""The rows of an annotation file, each with the place it stands at, whatever the file is: text, JSON lines, JSON or CSV."""

import csv
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from videorouter.data_builders.rejects import Reject

LONGEST_RAW = 2000
"""Characters of a row that a reject keeps."""


class Malformed(ValueError):
    """A row (or a whole file) that is not what its format says; `verdict` goes to its `Reject`."""

    def __init__(self, problem: str, verdict: str = "malformed") -> None:
        super().__init__(problem)
        self.verdict = verdict


@dataclass(frozen=True)
class Row:
    """One row: its content, where it stands (`FILE:LINE`, counted from 1, or `FILE:NAME`) and its number in the file."""

    where: str
    number: int
    content: Any
    raw: str

    def field(self, name: str) -> Any:
        """Raises `Malformed` where it is missing or null, or where the row is no object."""
        if not isinstance(self.content, Mapping):
            raise Malformed(f"an object is expected, it is {named(self.content)}")
        if self.content.get(name) is None:
            raise Malformed(f"`{name}` is missing")
        return self.content[name]

    def text(self, name: str) -> str:
        """A field as text without blanks around it; whole numbers count as text. Raises `Malformed`, also for empty text."""
        found = self.field(name)
        if isinstance(found, int) and not isinstance(found, bool):
            return str(found)
        if not isinstance(found, str):
            raise Malformed(f"`{name}` is {named(found)}, not text")
        if not found.strip():
            raise Malformed(f"`{name}` is empty")
        return found.strip()

    def items(self, name: str) -> list[Any]:
        """A field that is a list. Raises `Malformed`."""
        found = self.field(name)
        if not isinstance(found, list):
            raise Malformed(f"`{name}` is {named(found)}, not a list")
        return found

    def seconds(self, name: str) -> float:
        """A field as a length in seconds. Raises `Malformed` unless it is finite and above 0."""
        found = self.field(name)
        try:
            length = math.nan if isinstance(found, bool) else float(found)
        except (TypeError, ValueError, OverflowError):
            length = math.nan
        if not 0 < length < math.inf:
            raise Malformed(f"`{name}` is {found!r}, not a length in seconds")
        return length


def named(value: Any) -> str:
    """What kind of JSON value it is, in words."""
    kinds = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def text_rows(path: Path) -> Iterator[Row | Reject]:
    """The lines of a text file that are not blank; bytes that are no UTF-8 are replaced."""
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield Row(f"{path.name}:{number}", number, line.strip(), line.strip())


def json_lines(path: Path) -> Iterator[Row | Reject]:
    """The objects of a JSONL file; a line that is no JSON is a `Reject`."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            where, raw = f"{path.name}:{number}", line.decode(errors="replace").rstrip("\r\n")
            try:
                yield Row(where, number, json.loads(line), raw)
            except (ValueError, RecursionError) as error:
                yield Reject(where, "source", "malformed", f"not JSON ({error})", raw[:LONGEST_RAW])


def json_list(path: Path) -> Iterator[Row | Reject]:
    """The entries of a JSON file that holds one list. Raises `Malformed` for another."""
    entries = read_json(path)
    if not isinstance(entries, list):
        raise Malformed(f"a JSON list is expected, it holds {named(entries)}")
    return (Row(f"{path.name}:{n}", n, entry, as_raw(entry)) for n, entry in enumerate(entries, start=1))


def json_list_or_lines(path: Path) -> Iterator[Row | Reject]:
    """A JSON list where the file begins with `[`, else JSONL."""
    with path.open("rb") as file:
        first = next((line.lstrip()[:1] for line in file if line.strip()), b"")
    return json_list(path) if first == b"[" else json_lines(path)


def json_entries(path: Path) -> Iterator[Row | Reject]:
    """The values of a JSON file that holds one object, each placed by its name. Raises `Malformed` for another."""
    entries = read_json(path)
    if not isinstance(entries, dict):
        raise Malformed(f"a JSON object is expected, it holds {named(entries)}")
    for number, (name, entry) in enumerate(entries.items(), start=1):
        yield Row(f"{path.name}:{_writable(name)}", number, entry, as_raw(entry))


def csv_rows(path: Path, columns: tuple[str, ...]) -> Iterator[Row | Reject]:
    """The rows of a CSV file with a header, as objects by column; a row of another width is a `Reject`.

    A row is one line, so that an open quote spoils its own row and not all that follow. Raises `Malformed` where the header
    lacks one of `columns`.
    """
    header: list[str] | None = None
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        for number, line in enumerate(lines, start=1):
            where, raw = f"{path.name}:{number}", line.rstrip("\r\n")
            if not raw.strip():
                continue
            try:
                values = next(csv.reader([raw], strict=True))
            except csv.Error as error:
                yield Reject(where, "source", "malformed", f"not a CSV row ({error})", raw[:LONGEST_RAW])
                continue
            if header is None:
                header = values
                if missing := [column for column in columns if column not in header]:
                    raise Malformed(f"its header lacks {', '.join(missing)}")
            elif len(values) != len(header):
                problem = f"{len(values)} fields where the header has {len(header)}"
                yield Reject(where, "source", "malformed", problem, raw[:LONGEST_RAW])
            else:
                yield Row(where, number, dict(zip(header, values, strict=True)), raw)
    if header is None:
        raise Malformed("it is empty: a header is expected")


def read_json(path: Path) -> Any:
    """A whole JSON file. Raises `Malformed` naming it."""
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise Malformed(f"{path.name} is not JSON ({error})") from error


def as_raw(content: Any) -> str:
    """Content as a reject keeps it."""
    return _writable(json.dumps(content, ensure_ascii=False)[:LONGEST_RAW])


def _writable(text: str) -> str:
    """JSON may spell halves of characters, which no file can hold."""
    return text.encode(errors="replace").decode()
