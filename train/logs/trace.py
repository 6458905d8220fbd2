"""Which questions every optimizer step learned from, written down as it happens: what a resumed run is compared with (ours)."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

ItemQuestions = tuple[str, ...]
"""A video's key and the questions asked of it."""


class Trace(Callback):
    """Appends a line of JSON a microbatch to `folder`/asked-RANK.jsonl: the step, and for each item its key and questions.

    Without a folder nothing is written. Every start of a training wants a folder of its own.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if self.folder is None:
            return
        row = {"step": trainer.global_step, "items": [[item.key, *item.asked] for item in batch.items]}
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"asked-{trainer.global_rank}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def asked_by_step(folders: Sequence[Path]) -> dict[int, list[ItemQuestions]]:
    """What all ranks asked at each step, sorted, over several starts of one training: a step taken twice counts the last time."""
    by_step: dict[int, list[ItemQuestions]] = {}
    for folder in folders:
        taken: dict[int, list[ItemQuestions]] = {}
        for path in sorted(folder.glob("asked-*.jsonl")):
            for step, items in _rows(path):
                taken.setdefault(step, []).extend(items)
        if taken:
            by_step = {step: asked for step, asked in by_step.items() if step < min(taken)} | taken
    return {step: sorted(items) for step, items in sorted(by_step.items())}


def _rows(path: Path) -> Iterator[tuple[int, list[ItemQuestions]]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except ValueError:  # a line that a kill cut off
            continue
        yield row["step"], [tuple(item) for item in row["items"]]
