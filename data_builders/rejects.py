"""What could not be labelled, and why: one line an item in `quarantine.jsonl`, while the rest goes on."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from shards.writer import write_atomically

QUARANTINE = "quarantine.jsonl"


@dataclass(frozen=True)
class Reject:
    """An item that was left out. `stage`: source, video or teacher; `raw` the line or reply it happened on."""

    item: str
    stage: str
    verdict: str
    reason: str
    raw: str | None = None


def write_rejects(path: Path, rejects: Iterable[Reject]) -> None:
    """Write rejects as JSON lines, atomically."""
    write_atomically(path, "".join(json.dumps(asdict(reject), ensure_ascii=False) + "\n" for reject in rejects))


def read_rejects(path: Path) -> Iterator[Reject]:
    """The rejects of a file; none where it does not exist."""
    if path.is_file():
        with path.open(encoding="utf-8") as lines:
            yield from (Reject(**json.loads(line)) for line in lines)
