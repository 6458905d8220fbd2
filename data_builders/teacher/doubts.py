"""Which parts of a run folder hold verdicts in doubt, on disk: a run that is killed in the middle of a streak takes none back.

A file a part, for as long as something that was met there may be the run's fault: the keys of the replies that were paid for.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from videorouter.data_builders.teacher.journal import AnswerNotKept
from videorouter.shards.writer import write_atomically


@dataclass
class Doubts:
    """Those of the parts that this process noted, in the files of `folder`; picklable, without a folder nothing is kept."""

    folder: Path | None = None
    _noted: dict[str, list[str]] = field(default_factory=dict)

    def note(self, keys: Iterable[tuple[str, Sequence[str]]]) -> None:
        """What is in doubt now, all of it: parts, and keys of replies about them. Raises `AnswerNotKept`."""
        doubted: dict[str, list[str]] = {}
        for part, some in keys:
            doubted.setdefault(part, []).extend(some)
        try:
            for part, mine in doubted.items():
                if self._noted.get(part) != mine:
                    self._write(part, mine)
        except OSError as error:
            raise AnswerNotKept(
                f"{self.folder}: what is in doubt could not be noted ({error}): make room or change the permissions, then run "
                "the same command again"
            ) from error
        self.forget([part for part in self._noted if part not in doubted])
        self._noted = doubted

    def left(self, parts: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
        """Those of `parts` that a killed run left in doubt, with the keys of the replies. Raises `ValueError` naming the file."""
        for part in parts if self.folder and self.folder.is_dir() else ():
            if (path := self._path(part)).is_file():
                try:
                    yield part, [str(key) for key in json.loads(path.read_text())]
                except (ValueError, TypeError) as error:
                    raise ValueError(f"{path} does not read ({error}): delete it") from error

    def forget(self, parts: Iterable[str]) -> None:
        """They are in doubt no longer."""
        for part in parts if self.folder else ():
            self._path(part).unlink(missing_ok=True)

    def _write(self, part: str, keys: list[str]) -> None:
        if self.folder:
            self.folder.mkdir(exist_ok=True)
            write_atomically(self._path(part), json.dumps(keys))

    def _path(self, part: str) -> Path:
        assert self.folder is not None
        return self.folder / f"{part}.json"
