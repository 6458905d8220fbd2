"""What could not be labelled, and why: one line an item in `quarantine.jsonl`; the build continues."""

import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from videorouter.data_builders.teacher.errors import TeacherReplyError, TeacherStopped
from videorouter.data_builders.teacher.journal import AnswerNotKept
from videorouter.shards.writer import write_atomically

_log = logging.getLogger(__name__)

QUARANTINE = "quarantine.jsonl"


@dataclass(frozen=True)
class Reject:
    """An item that was left out, with the line or reply it happened on in `raw`.

    `stage`: source, video, category, probe, teacher, filter (left out on purpose; `verdict` names the filter) or label.
    `keys` are those of the journal under which the bad replies are kept that it was put aside for.
    """

    item: str
    stage: str
    verdict: str
    reason: str
    raw: str | None = None
    keys: tuple[str, ...] = ()

    @property
    def retryable(self) -> bool:
        """Whether trying again may help."""
        return self.verdict in RETRYABLE

    @property
    def failed(self) -> bool:
        """Whether it is a failure; what was filtered was left out on purpose."""
        return self.stage != "filter"


RETRYABLE = frozenset({"missing", "outside", "timeout", "out_of_memory", "server_error", "died", "error"})
"""Verdicts that may be gone at the next attempt."""
REFUSED = frozenset({"refused", "filtered"})
"""Verdicts of what the endpoint would not answer."""
INVALID = frozenset({"invalid_reply", "cut_off"})
"""Verdicts of replies that were paid for and cannot be used."""


class Filtered(ValueError):
    """A question left out on purpose: by the filter named `by`, for the reason in the message."""

    def __init__(self, by: str, reason: str) -> None:
        super().__init__(reason)
        self.by = by


def reject_of(item: str, stage: str, error: Exception) -> Reject:
    """What becomes of an item whose work raised `error`: the boundary around an item, past which nothing ends the others.

    What nobody foresaw is an `error`, its traceback in the log. Raises `TeacherStopped` and `AnswerNotKept` again: they are the
    run's.
    """
    if isinstance(error, TeacherStopped | AnswerNotKept):
        raise error
    if isinstance(error, TeacherReplyError):
        return Reject(item, stage, error.verdict, str(error), error.raw, error.keys)
    if isinstance(error, Filtered):
        return Reject(item, "filter", error.by, str(error))
    _log.error("%s: unforeseen", item, exc_info=error)
    return Reject(item, stage, "error", f"{type(error).__name__}: {error}; its traceback is in run.log")


def write_rejects(path: Path, rejects: Iterable[Reject]) -> None:
    """Write rejects as JSON lines, atomically."""
    write_atomically(path, "".join(_line(reject) for reject in rejects))


def read_rejects(path: Path) -> Iterator[Reject]:
    """The rejects of a file; none where it does not exist. Raises `ValueError` naming a file that does not read."""
    if path.is_file():
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    row = json.loads(line)
                    yield Reject(**row | {"keys": tuple(row.get("keys", ()))})
                except (ValueError, TypeError, AttributeError) as error:
                    raise ValueError(
                        f"{path}:{number} is no row of what was put aside ({error}): delete the file, and the shard of its name "
                        "to build it again"
                    ) from error


def _line(reject: Reject) -> str:
    row = asdict(reject)
    if not reject.keys:
        del row["keys"]
    return json.dumps(row, ensure_ascii=False) + "\n"
