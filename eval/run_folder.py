"""What a run leaves behind, and everything that tables and the report page are made from.

manifest.json       what ran: versions, machine, models, prompts, seeds, configuration
items.jsonl         every question that was asked, with its groups and what is known about its evidence
videos.jsonl        every video: its file, and the frames that were sampled from it
predictions.jsonl   every answer, in the order of items, then of systems
failures.jsonl      every answer that could not be given, and why
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from videorouter.eval.benchmarks.items import Item, KnownTruth, Subtitles
from videorouter.json_files import read_json_lines, read_object
from videorouter.routers.systems.spec import ROUTED, Kind

MANIFEST: Final = "manifest.json"
ITEMS: Final = "items.jsonl"
VIDEOS: Final = "videos.jsonl"
PREDICTIONS: Final = "predictions.jsonl"
FAILURES: Final = "failures.jsonl"
_REMEDY: Final = "give the folder of a whole run, or run it again"
THRESHOLD: Final = "relevance threshold"
"""In the manifest: the score above which the Image Router takes a frame for relevant."""
REAL_KINDS: Final[tuple[Kind, ...]] = ("compared", "reference")
"""Of systems that one could choose for their accuracy and cost: neither a bound nor a control."""


class Cell(NamedTuple):
    """Where systems are compared: a benchmark, T frames sampled, at most `cap` visual tokens a question."""

    benchmark: str
    frames: int
    cap: int


@dataclass(frozen=True)
class Prediction:
    """One answer of `system`, on the base model that the run calls `model`, to a question with `options` options.

    Of `sampled` frames, `frames` are those kept, counted from 0 among the sampled, `indices` the same counted in the file,
    `tokens_by_frame` what each was given. `budget` is what the system might spend on this question, `cap` what any might.
    `relevance` `[sampled]` and `policy` are present where a router decided. `prompt` is `name@hash` of the wording.
    `seconds_by_stage`: decode, vision, route, prefill, generate. `kind` is the system's own (`System.kind`).

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
    kind: Kind = "compared"

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


@dataclass(frozen=True)
class SampledVideo:
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
    """A run on disk, read whole; `items` by benchmark."""

    path: Path
    manifest: dict[str, Any]
    items: dict[str, list[Item]]
    videos: list[SampledVideo]
    predictions: list[Prediction]
    failures: list[Failure]


def read_run(path: Path) -> RunFolder:
    """Read a run. Raises `ValueError` where `path` holds none, or one that is not finished."""
    if not (path / PREDICTIONS).is_file():
        raise ValueError(f"{path} holds no {PREDICTIONS}: give the folder of a finished `videorouter eval run`")
    try:
        return _read(path)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a run as this version writes it ({error}): {_REMEDY}") from error


def _read(path: Path) -> RunFolder:
    items: dict[str, list[Item]] = {}
    for row in read_rows(path / ITEMS):
        items.setdefault(row.pop("benchmark"), []).append(_item(row))
    return RunFolder(
        path,
        read_object(path / MANIFEST, _REMEDY),
        items,
        [SampledVideo(**row) for row in read_rows(path / VIDEOS)],
        read_predictions(path / PREDICTIONS),
        [Failure(**row) for row in read_rows(path / FAILURES)] if (path / FAILURES).is_file() else [],
    )


def read_predictions(path: Path) -> list[Prediction]:
    """All predictions of a file."""
    return [prediction_of(row) for row in read_rows(path)]


def prediction_of(row: dict[str, Any]) -> Prediction:
    """The prediction that a line of JSON holds, of this version or of an earlier one, which did not record the system's kind."""
    return Prediction(**{"kind": kind_by_name(row["system"]), **row})


def kind_by_name(system: str) -> Kind:
    """The kind of a system of which nothing but the name is known: in runs of earlier versions, and of other toolkits."""
    name = system.partition("(")[0].strip()
    if system == "blind" or system.startswith("shuffled+"):
        return "control"
    if name == "oracle":
        return "bound"
    return "reference" if name == "dense" or (name == ROUTED and system != ROUTED) else "compared"


def append_predictions(path: Path, predictions: Iterable[Prediction]) -> None:
    """Append predictions as JSON lines."""
    with path.open("a", encoding="utf-8") as file:
        for prediction in predictions:
            file.write(json.dumps(asdict(prediction)) + "\n")


def item_row(benchmark: str, item: Item) -> dict[str, Any]:
    """The line of items.jsonl that `read_run` makes the same item of."""
    row = asdict(replace(item, groups=dict(item.groups)))
    row["video"] = str(item.video)
    if item.subtitles is not None:
        row["subtitles"]["path"] = str(item.subtitles.path)
    return {"benchmark": benchmark, **row}


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The JSON lines of a file."""
    return list(read_json_lines(path, _REMEDY))


def write_rows(path: Path, rows: Iterable[dict[str, Any]] | Sequence[dict[str, Any]]) -> None:
    """Write JSON lines; the file takes its name when it is whole."""
    _write_whole(path, "".join(json.dumps(row) + "\n" for row in rows))


def write_manifest(path: Path, manifest: dict[str, Any]) -> None:
    """Write what ran; the file takes its name when it is whole."""
    _write_whole(path, json.dumps(manifest, indent=2) + "\n")


def _write_whole(path: Path, text: str) -> None:
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


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
