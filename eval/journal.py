"""Answers of an unfinished run, on disk as they are given; the same command goes on from them."""

import json
import os
from dataclasses import asdict
from pathlib import Path

from videorouter.eval.predictions import Prediction
from videorouter.eval.ranks import Ranks


class Journal:
    """Answers in files of JSON lines, one a rank, and by what was asked. A line that a kill cut short is asked again."""

    def __init__(self, folder: Path, rank: int = 0) -> None:
        """Read what ranks, however many they were, kept in `folder`."""
        self.folder, self.path = folder, folder / f"answered-{rank}.jsonl"
        self._known: dict[tuple[str, str, int, int, int | None], Prediction] = {}
        for path in self._files():
            for line in path.read_bytes().splitlines(keepends=True):
                if line.endswith(b"\n"):
                    made = Prediction(**json.loads(line))
                    self._known[made.system, made.item, made.sampled, made.cap, made.budget] = made
                elif path == self.path:
                    os.truncate(path, path.stat().st_size - len(line))

    @classmethod
    def opened(cls, folder: Path, ranks: Ranks) -> "Journal":
        """This rank's, opened by all ranks: nobody writes before all have read what was kept."""
        folder.mkdir(parents=True, exist_ok=True)
        ranks.wait()
        journal = cls(folder, ranks.rank)
        ranks.wait()
        return journal

    def known(self, system: str, item: str, sampled: int, cap: int, budget: int) -> Prediction | None:
        """The answer that was kept, if one was."""
        return self._known.get((system, item, sampled, cap, budget))

    def keep(self, made: Prediction) -> None:
        """Append an answer and flush it to disk."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(made)) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def close(self) -> None:
        """The run is finished: its answers lie in another file."""
        for path in self._files():
            path.unlink()

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("answered-*.jsonl"))
