"""Our own format: one `VideoQuestion` a line."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from data_builders.rejects import Reject
from shards.schema import VideoQuestion


def convert(path: Path) -> Iterator[VideoQuestion | Reject]:
    """Questions of a JSONL file; a line that is not one becomes a `Reject` naming its number."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                yield VideoQuestion.model_validate_json(line)
            except ValidationError as error:
                problems = "; ".join(
                    f"{'.'.join(map(str, e['loc'])) or 'line'}: {e['msg']}" for e in error.errors(include_url=False)
                )
                yield Reject(
                    f"{path.name}:{number}",
                    "source",
                    "malformed",
                    problems,
                    line.decode(errors="replace").rstrip("\n")[:2000],
                )
