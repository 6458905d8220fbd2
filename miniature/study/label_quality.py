"""Labels built through a teacher, compared with the truth of the world."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from videorouter.shards.reader import ShardDataset
from videorouter.shards.sample import ShardSample
from videorouter.shards.schema import LabelledQuestion


@dataclass(frozen=True)
class LabelQuality:
    """Agreement with the truth. `relevance_f1` is a macro mean over fragment questions; None where nothing was labelled."""

    split: str
    relevance_f1: float | None
    fragment_questions: int
    policy_accuracy: float | None
    policy_questions: int


def check_labels(
    world: Path, shards: list[Path], splits: list[str] | None = None, json_out: Path | None = None
) -> None:
    """Print how well built labels agree with the truth of a world.

    Args:
        world: Folder of the world, with its truth.jsonl.
        shards: Folders written by the builders.
        splits: Splits to compare; held-out videos by default.
        json_out: Write the figures there, too.

    Raises:
        ValueError: where a question in the shards has no truth in this world.
    """
    from rich.console import Console
    from rich.table import Table

    figures = [
        measure_labels(world, folder, split) | {"shards": str(folder)}
        for folder in shards
        for split in splits or ["val", "test"]
    ]
    table = Table(title="labels against the truth")
    for name in figures[0]:
        table.add_column(name.replace("_", " "))
    for row in figures:
        table.add_row(*(f"{value:.4f}" if isinstance(value, float) else str(value) for value in row.values()))
    Console(markup=False).print(table)
    if json_out:
        json_out.write_text(json.dumps(figures, indent=2), encoding="utf-8")


def measure_labels(world: Path, shards: Path, split: str) -> dict[str, Any]:
    """`LabelQuality` of one split, as a dictionary."""
    with (world / "truth.jsonl").open(encoding="utf-8") as lines:
        truth = {row["id"]: row for row in map(json.loads, lines)}
    scores: list[float] = []
    policies: list[bool] = []
    for sample, labelled in _questions(ShardDataset(shards, split=split)):
        name = labelled.question.id
        if name not in truth:
            raise ValueError(
                f"question {name} in {shards} is not of the world in {world}: give the world it was built from"
            )
        known = truth[name]
        if labelled.policy is not None:
            policies.append(labelled.policy.policy == known["policy"])
        if labelled.relevance is not None and known["policy"] == "fragment":
            evidence = [
                any(first <= index < end for first, end in known["evidence_frames"]) for index in sample.video.indices
            ]
            scores.append(f1(labelled.relevance.relevant, evidence))
    return asdict(LabelQuality(split, mean(scores), len(scores), mean(policies), len(policies)))


def f1(labels: Sequence[bool], truth: Sequence[bool]) -> float:
    """F1 of binary frame labels; 1 where both are empty."""
    hits = sum(a and b for a, b in zip(labels, truth, strict=True))
    marked = sum(labels) + sum(truth)
    return 2 * hits / marked if marked else 1.0


def mean(values: Sequence[float]) -> float | None:
    """None of no values."""
    return sum(values) / len(values) if values else None


def _questions(shards: ShardDataset) -> Iterator[tuple[ShardSample, LabelledQuestion]]:
    for index in range(len(shards)):
        sample = shards[index]
        for labelled in sample.questions:
            yield sample, labelled
