"""What a system answered to an item, and the append-only file it is kept in."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple


class Cell(NamedTuple):
    """Where systems are compared: a benchmark, T frames sampled, at most `cap` visual tokens a question."""

    benchmark: str
    frames: int
    cap: int


@dataclass(frozen=True)
class Prediction:
    """One answer of `system`, on the base model that the run calls `model`, to a question with `options` options.

    `sampled` frames were looked at; `frames` are those kept, counted from 0 among the sampled, `indices` the same counted in the
    file, `tokens_by_frame` what each was given. `budget` is what the system might spend on this question, `cap` what any might.
    `relevance` `[sampled]` and `policy` are there where a router decided. `prompt` is `name@hash` of the wording.
    `seconds_by_stage`: decode, vision, route, prefill, generate.

    An answer that another toolkit gave has no `budget`, `tokens`, frames or seconds: they are not known. Its `sampled` and `cap`
    are what was said of that run.
    """

    benchmark: str
    item: str
    video: str
    group: str
    model: str
    system: str
    sampled: int
    cap: int
    budget: int | None
    tokens: int | None
    frames: list[int]
    indices: list[int]
    tokens_by_frame: list[int]
    relevance: list[float] | None
    policy: str | None
    prompt: str
    text: str
    choice: str | None
    answer: str
    options: int
    seconds_by_stage: dict[str, float]

    @property
    def correct(self) -> bool:
        return self.choice == self.answer

    @property
    def fed(self) -> int:
        """`tokens`, of an answer of ours, where they are always known."""
        assert self.tokens is not None, (
            f"{self.system} answered {self.item} in another toolkit: its tokens are not known"
        )
        return self.tokens

    @property
    def cell(self) -> Cell:
        return Cell(self.benchmark, self.sampled, self.cap)


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
