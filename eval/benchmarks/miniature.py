"""The miniature world as a benchmark: `questions.jsonl`, `truth.jsonl`, `videos/` as `videorouter miniature world` writes them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from videorouter.eval.benchmarks.items import Benchmark, Item, KnownTruth
from videorouter.json_files import read_json_lines
from videorouter.routers.systems.query import letters
from videorouter.shards.schema import VideoQuestion


def load(folder: Path, split: str, rows: str | None = None) -> Benchmark:
    """Items of `split`, in file order. Raises `ValueError` for a missing file or a question without truth."""
    if rows:
        raise ValueError("the miniature world is read from its folder alone: leave out the data set")
    truths = {row["id"]: row for row in _rows(folder / "truth.jsonl")}
    questions = [VideoQuestion.model_validate(row) for row in _rows(folder / "questions.jsonl")]
    return Benchmark([_item(folder, question, truths) for question in questions if question.split == split])


def _item(folder: Path, question: VideoQuestion, truths: dict[str, dict[str, Any]]) -> Item:
    if question.id not in truths:
        raise ValueError(f"{folder / 'truth.jsonl'} lacks question {question.id}: write the world again")
    if not question.options or question.answer is None:
        raise ValueError(
            f"question {question.id} of {folder} has no options: the miniature benchmark is multiple choice"
        )
    truth = truths[question.id]
    return Item(
        id=question.id,
        video=folder / question.video,
        question=question.question,
        options=tuple(question.options),
        answer=letters(question.options)[question.options.index(question.answer)],
        groups={"kind": question.task_type, "policy": truth["policy"]},
        truth=KnownTruth(truth["policy"], tuple((start, end) for start, end in truth["evidence_seconds"])),
    )


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if not path.is_file():
        raise ValueError(f"{path} is missing: write a world with `videorouter miniature world --out {path.parent}`")
    yield from read_json_lines(path, "write the world again")
