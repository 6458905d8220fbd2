"""What could not be labelled, and why: one line an item in `quarantine.jsonl`; the build continues."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from videorouter.shards.writer import write_atomically

QUARANTINE = "quarantine.jsonl"


@dataclass(frozen=True)
class Reject:
    """An item that was left out, with the line or reply it happened on in `raw`.

    `stage`: source, video, category, probe, teacher, filter (left out on purpose; `verdict` names the filter) or label.
    """

    item: str
    stage: str
    verdict: str
    reason: str
    raw: str | None = None

    @property
    def retryable(self) -> bool:
        """Whether trying again may help."""
        return self.verdict in RETRYABLE

    @property
    def failed(self) -> bool:
        """Whether it is a failure; what was filtered was left out on purpose."""
        return self.stage != "filter"


RETRYABLE = frozenset({"missing", "outside", "timeout", "out_of_memory", "server_error", "died"})
"""Verdicts that may be gone at the next attempt."""


class Filtered(ValueError):
    """A question left out on purpose: by the filter named `by`, for the reason in the message."""

    def __init__(self, by: str, reason: str) -> None:
        super().__init__(reason)
        self.by = by


def write_rejects(path: Path, rejects: Iterable[Reject]) -> None:
    """Write rejects as JSON lines, atomically."""
    write_atomically(path, "".join(json.dumps(asdict(reject), ensure_ascii=False) + "\n" for reject in rejects))


def read_rejects(path: Path) -> Iterator[Reject]:
    """The rejects of a file; none where it does not exist."""
    if path.is_file():
        with path.open(encoding="utf-8") as lines:
            yield from (Reject(**json.loads(line)) for line in lines)
