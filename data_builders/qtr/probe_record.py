"""What probing showed, on disk: `probes.json` once all is probed, until then `probed.jsonl`; and how it is asked again."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from videorouter.data_builders.building.again import retire_replies
from videorouter.data_builders.building.ledger import Ledger
from videorouter.data_builders.building.plan import plan_shards
from videorouter.data_builders.qtr.outcomes import PROBES, Probing
from videorouter.data_builders.qtr.probe import Probed
from videorouter.data_builders.rejects import Reject
from videorouter.data_builders.teacher.journal import Journal
from videorouter.data_builders.teacher.replies import QuestionCategory
from videorouter.shards.schema import VideoQuestion
from videorouter.shards.writer import write_atomically

DECIDE = "decide"
"""The part of a run folder, and its journal, under which the answers are kept that labels rest on."""
UNFINISHED = "probed.jsonl"
EARLIER = "probes-earlier.json"
"""The record that is being replaced, until the labels that rest on it are gone."""
_PROBED = TypeAdapter(Probed)


@dataclass(frozen=True)
class ProbeRecord:
    """The content of `probes.json`: categories by question id, what probing showed, and the questions without a category."""

    categories: dict[str, QuestionCategory]
    probing: Probing
    rejects: list[Reject]

    @classmethod
    def read(cls, path: Path) -> "ProbeRecord":
        """Raises `ValueError` where it does not read."""
        try:
            return TypeAdapter(cls).validate_json(path.read_bytes())
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise ValueError(f"{path} does not read ({where}: {first['msg']}): remove it to probe again") from error

    def write(self, path: Path) -> None:
        """Atomically."""
        write_atomically(path, TypeAdapter(ProbeRecord).dump_json(self, indent=1).decode())


class ProbeLog:
    """Probes as they come, one a line of the file `path`, so that a build that was killed repeats none of them.

    `found` holds what is known, by question id.
    """

    def __init__(self, path: Path) -> None:
        """A line that does not read (the last one before a kill) is taken out: its question is probed again."""
        self.path = path
        self.found: dict[str, Probed] = {}
        for line in path.read_bytes().splitlines() if path.is_file() else []:
            try:
                one = _PROBED.validate_json(line)
            except ValidationError:
                continue
            self.found[one.question] = one
        if path.is_file():
            write_atomically(path, "".join(_line(one) for one in self.found.values()))

    def add(self, one: Probed) -> None:
        """Keep one more."""
        self.found[one.question] = one
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_line(one))

    def remove(self) -> None:
        """All of it is kept in `probes.json` now."""
        self.path.unlink(missing_ok=True)


@contextmanager
def answers_to_decide(ledger: Ledger) -> Iterator[Journal]:
    """The journal of what labels rest on; bad replies that a killed run left in doubt are asked again. Raises as `Journal`."""
    with closing(ledger.journal(DECIDE)) as journal:
        for _, keys in ledger.doubts.left([DECIDE]):
            journal.retire(keys)
        try:
            yield journal
        finally:
            ledger.doubts.forget([DECIDE])


def probe_again(out: Path, ledger: Ledger, verdicts: Collection[str]) -> None:
    """Let the next probing ask again for what was put aside with one of `verdicts`; all else that was probed is kept.

    Raises `ValueError` for a record that does not read, and as `Ledger.journal`.
    """
    kept = out / PROBES
    if not verdicts or not kept.is_file():
        return
    record = ProbeRecord.read(kept)
    retire_replies(
        ledger, DECIDE, (one for one in (*record.rejects, *record.probing.failed) if one.verdict in verdicts)
    )
    write_atomically(out / UNFINISHED, "".join(_line(one) for one in record.probing.probed.values()))
    kept.replace(out / EARLIER)


def drop_labels_of_earlier_probes(out: Path, questions: Sequence[VideoQuestion], videos_per_shard: int) -> None:
    """Undo the shards that rest on a record that was replaced by another one: they are built again without asking."""
    earlier = out / EARLIER
    if not earlier.is_file():
        return
    records = ProbeRecord.read(earlier), ProbeRecord.read(out / PROBES)
    if records[0] != records[1]:
        for record in records:
            known = [question for question in questions if question.id in record.categories]
            for job in plan_shards(known, out, videos_per_shard):
                job.reset()
    earlier.unlink()


def _line(one: Probed) -> str:
    return _PROBED.dump_json(one).decode() + "\n"
