"""What a run leaves behind, and everything that tables and the report page are made from.

manifest.json       what ran: versions, machine, models, prompts, seeds, configuration
items.jsonl         every question that was asked, with its groups and what is known about its evidence
videos.jsonl        every video: its file, and the frames that were sampled of it
predictions.jsonl   every answer, in the order of items, then of systems
failures.jsonl      every answer that could not be given, and why
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from videorouter.eval import predictions as storage
from videorouter.eval.items import Item, KnownTruth, Subtitles
from videorouter.eval.predictions import Prediction

MANIFEST: Final = "manifest.json"
ITEMS: Final = "items.jsonl"
VIDEOS: Final = "videos.jsonl"
PREDICTIONS: Final = "predictions.jsonl"
FAILURES: Final = "failures.jsonl"
THRESHOLD: Final = "relevance threshold"
"""In the manifest: the score above which the Image Router takes a frame for relevant."""


@dataclass(frozen=True)
class Watched:
    """One video of a run: `indices` and `seconds` `[T]` of the sampled frames; `duration` in seconds.

    `unread_subtitles` says why its questions were asked without the subtitles that they should have had.
    """

    benchmark: str
    video: str
    path: str
    sampled: int
    indices: list[int]
    seconds: list[float]
    duration: float
    unread_subtitles: str | None = None


@dataclass(frozen=True)
class Failure:
    """An answer that could not be given."""

    benchmark: str
    item: str
    video: str
    model: str
    system: str
    sampled: int
    cap: int
    error: str


@dataclass(frozen=True)
class RunFolder:
    """A run on disk, read whole."""

    path: Path
    manifest: dict[str, Any]
    items: dict[str, list[Item]]
    """By benchmark."""
    videos: list[Watched]
    predictions: list[Prediction]
    failures: list[Failure]


def read_run(path: Path) -> RunFolder:
    """Read a run. Raises `ValueError` where `path` holds none, or one that is not finished."""
    if not (path / PREDICTIONS).is_file():
        raise ValueError(f"{path} holds no {PREDICTIONS}: give the folder of a finished `videorouter eval run`")
    items: dict[str, list[Item]] = {}
    for row in read_rows(path / ITEMS):
        items.setdefault(row.pop("benchmark"), []).append(_item(row))
    return RunFolder(
        path,
        json.loads((path / MANIFEST).read_text(encoding="utf-8")),
        items,
        [Watched(**row) for row in read_rows(path / VIDEOS)],
        storage.read(path / PREDICTIONS),
        [Failure(**row) for row in read_rows(path / FAILURES)] if (path / FAILURES).is_file() else [],
    )


def item_row(benchmark: str, item: Item) -> dict[str, Any]:
    """The line of items.jsonl that `read_run` makes the same item of."""
    row = asdict(replace(item, groups=dict(item.groups)))
    row["video"] = str(item.video)
    if item.subtitles is not None:
        row["subtitles"]["path"] = str(item.subtitles.path)
    return {"benchmark": benchmark, **row}


def _item(row: dict[str, Any]) -> Item:
    truth, subtitles = row.pop("truth"), row.pop("subtitles")
    row["video"], row["options"] = Path(row["video"]), tuple(row["options"])
    row["evidence_frames"] = tuple(row["evidence_frames"])
    row["evidence_spans"] = tuple((start, end) for start, end in row["evidence_spans"])
    return Item(
        **row,
        truth=KnownTruth(truth["policy"], tuple((start, end) for start, end in truth["evidence"])) if truth else None,
        subtitles=Subtitles(Path(subtitles["path"]), subtitles["starts"]) if subtitles else None,
    )


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The JSON lines of a file."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def write_rows(path: Path, rows: Iterable[dict[str, Any]] | Sequence[dict[str, Any]]) -> None:
    """Write JSON lines; the file takes its name when it is whole."""
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    unfinished.replace(path)


def write_manifest(path: Path, manifest: dict[str, Any]) -> None:
    """Write what ran; the file takes its name when it is whole."""
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(path)
