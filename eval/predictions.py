"""What a system answered to an item, and the append-only file it is kept in."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Prediction:
    """One answer to a question with `options` options.

    `frames` are the sampled frames kept; `seconds_by_stage`: decode, vision, route, prefill, generate.
    """

    item: str
    video: str
    group: str
    system: str
    budget: int
    tokens: int
    frames: list[int]
    policy: str | None
    text: str
    choice: str | None
    answer: str
    options: int
    seconds_by_stage: dict[str, float]

    @property
    def correct(self) -> bool:
        return self.choice == self.answer


def append(path: Path, predictions: Iterable[Prediction]) -> None:
    """Append predictions as JSON lines and flush them to disk."""
    with path.open("a", encoding="utf-8") as file:
        for prediction in predictions:
            file.write(json.dumps(asdict(prediction)) + "\n")


def read(path: Path) -> list[Prediction]:
    """All predictions of a file."""
    with path.open(encoding="utf-8") as lines:
        rows: Iterable[dict[str, Any]] = map(json.loads, lines)
        return [Prediction(**row) for row in rows]
