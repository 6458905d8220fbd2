"""A benchmark of one's own: `quiz.json`, a list of objects with video, question, options and the right option's number."""

import json
from pathlib import Path

from videorouter.eval.benchmarks.items import Benchmark, Item, WrongRow


def load(folder: Path, split: str, rows: str | None) -> Benchmark:
    """The quiz's questions; it has one split, `test`. Rows that make no question are told, not dropped in silence."""
    if rows is not None or split != "test":
        raise ValueError("clip_quiz is read from its folder, and has the split `test` alone")
    items, wrong = [], []
    for number, row in enumerate(json.loads((folder / "quiz.json").read_text(encoding="utf-8"))):
        if not 0 <= row["right"] < len(row["options"]):
            wrong.append(WrongRow(str(number), f"there is no option {row['right']}"))
            continue
        letter = chr(ord("A") + row["right"])
        options = tuple(row["options"])
        items.append(Item(str(number), folder / row["video"], row["question"], options, letter, {"kind": "quiz"}))
    return Benchmark(items, wrong)
