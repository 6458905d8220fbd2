"""Probes as they come, one a line: a build that was killed repeats none of them, whoever answered."""

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from videorouter.data_builders.qtr.probe import Probed
from videorouter.shards.writer import write_atomically

_LINE = TypeAdapter(Probed)


class ProbeLog:
    """The file `path`: `found` holds what it knew when it was opened, by question id."""

    def __init__(self, path: Path) -> None:
        """A line that does not read (the last one before a kill) is taken out: its question is probed again."""
        self.path = path
        self.found: dict[str, Probed] = {}
        for line in path.read_bytes().splitlines() if path.is_file() else []:
            try:
                one = _LINE.validate_json(line)
            except ValidationError:
                continue
            self.found[one.question] = one
        if path.is_file():
            write_atomically(path, "".join(_line(one) for one in self.found.values()))

    def add(self, one: Probed) -> None:
        """Keep one more."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_line(one))

    def remove(self) -> None:
        """All of it stands elsewhere now."""
        self.path.unlink(missing_ok=True)


def _line(one: Probed) -> str:
    return _LINE.dump_json(one).decode() + "\n"
