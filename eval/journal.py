"""Answers of an unfinished run, on disk as they are given; the same command goes on from them."""

import json
import os
from dataclasses import asdict
from pathlib import Path

from eval.predictions import Prediction


class Journal:
    """Answers in a file of JSON lines, and by what was asked. A line that a kill cut short is asked again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[tuple[str, str, int, int | None], Prediction] = {}
        for line in path.read_bytes().splitlines(keepends=True) if path.exists() else []:
            if not line.endswith(b"\n"):
                os.truncate(path, path.stat().st_size - len(line))
                break
            made = Prediction(**json.loads(line))
            self._known[made.system, made.item, made.cap, made.budget] = made

    def __len__(self) -> int:
        return len(self._known)

    def known(self, system: str, item: str, cap: int, budget: int) -> Prediction | None:
        """The answer that was kept, if one was."""
        return self._known.get((system, item, cap, budget))

    def keep(self, made: Prediction) -> None:
        """Append an answer and flush it to disk."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(made)) + "\n")
            file.flush()
            os.fsync(file.fileno())
