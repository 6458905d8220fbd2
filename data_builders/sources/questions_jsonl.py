"""Our own format: one `VideoQuestion` a line."""

from collections.abc import Iterator
from pathlib import Path

from videorouter.data_builders.rejects import Reject
from videorouter.data_builders.sources.evidence import Mended
from videorouter.data_builders.sources.rows import Row, json_lines
from videorouter.shards.schema import VideoQuestion


def rows(path: Path) -> Iterator[Row | Reject]:
    """The lines of a JSONL file."""
    return json_lines(path)


def questions(row: Row) -> Iterator[VideoQuestion | Reject | Mended]:
    """The question of a line. Raises pydantic's `ValidationError`."""
    yield VideoQuestion.model_validate(row.content)
