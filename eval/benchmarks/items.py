"""A benchmark's items, free of its own file format, and the checks by which rows of its files become items."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from videorouter.routers.systems.query import Truth
from videorouter.shards.policy import Policy
from videorouter.video.containers import EXTENSIONS

_OWN_LETTER = re.compile(r"^\s*(?:\(([A-Z])\)|([A-Z])[.:)])\s*")


@dataclass(frozen=True)
class KnownTruth:
    """Ground truth where a benchmark has it: the policy, and evidence as spans in seconds `[start, end)`."""

    policy: Policy
    evidence: tuple[tuple[float, float], ...]

    def of_frames(self, seconds: Sequence[float]) -> Truth:
        """The truth about frames sampled at `seconds`."""
        return Truth(self.policy, tuple(any(start <= s < end for start, end in self.evidence) for s in seconds))


@dataclass(frozen=True)
class Subtitles:
    """A subtitle file; its times count from `starts` seconds before the video's first frame."""

    path: Path
    starts: float = 0.0


@dataclass(frozen=True)
class Item:
    """A multiple-choice question about a video file; `answer` is the letter; the bootstrap resamples whole videos.

    `groups` are the benchmark's own dimensions, the one that its main table is split by first. `evidence_spans` (in seconds) and
    `evidence_frames` (of the file) are what a benchmark marks as evidence without saying that nothing else is.
    """

    id: str
    video: Path
    question: str
    options: tuple[str, ...]
    answer: str
    groups: Mapping[str, str]
    truth: KnownTruth | None = None
    evidence_spans: tuple[tuple[float, float], ...] = ()
    evidence_frames: tuple[int, ...] = ()
    subtitles: Subtitles | None = None

    @property
    def group(self) -> str:
        """Of the first dimension."""
        return next(iter(self.groups.values()))


@dataclass(frozen=True)
class WrongRow:
    """A row that makes no question: its id (or number in the file), and why."""

    id: str
    reason: str


@dataclass(frozen=True)
class Benchmark:
    """The questions of one split, and the rows left out."""

    items: list[Item]
    wrong: list[WrongRow] = field(default_factory=list)


@dataclass(frozen=True)
class Published:
    """What a benchmark's authors count, and where its files come from.

    `questions` holds a total for each form the files are published in. `archives` are the file names that hold videos;
    `fetch` says how to get them where that is not a list of archives. `subtitles` names the archive of the subtitles.
    """

    questions: tuple[int, ...]
    videos: int | None
    groups: Mapping[str, Mapping[str, int]]
    source: str
    archives: tuple[str, ...] = ()
    fetch: str = ""
    subtitles: str | None = None


class RowError(Exception):
    """Says why a row makes no question."""


def collected(rows: Iterable[tuple[str, Any]], to_item: Callable[[str, Any], Item]) -> Benchmark:
    """Items of `(id, row)`; a row that `to_item` refuses, that lacks a field, or whose id was seen is left out and counted."""
    items: list[Item] = []
    wrong: list[WrongRow] = []
    seen: set[str] = set()
    for name, row in rows:
        try:
            item = to_item(name, row)
            if item.id in seen:
                raise RowError("this id occurs twice")
        except RowError as error:
            wrong.append(WrongRow(name, str(error)))
        except KeyError as error:
            wrong.append(WrongRow(name, f"field {error} is missing"))
        except (TypeError, ValueError, AttributeError) as error:
            wrong.append(WrongRow(name, f"a field is of another kind: {error}"))
        else:
            seen.add(item.id)
            items.append(item)
    return Benchmark(items, wrong)


def checked_options(options: Any) -> tuple[str, ...]:
    """Options without the letters they may carry. Raises `RowError` unless there are 3 to 5, none of them empty."""
    if not isinstance(options, (list, tuple)) and not hasattr(options, "tolist"):
        raise RowError("the options are no list")
    texts = [option if isinstance(option, str) else str(option) for option in options]
    if not 3 <= len(texts) <= 5:
        raise RowError(f"{len(texts)} options: 3 to 5 were expected")
    stripped = without_letters(texts)
    if any(option is None for option in options) or not all(stripped):
        raise RowError("an option is empty")
    return tuple(stripped)


def without_letters(options: Sequence[str]) -> list[str]:
    """Options without "A. ", "(A) ", where every one carries its own."""
    found = [_OWN_LETTER.match(option) for option in options]
    own = [(match[1] or match[2]) == chr(ord("A") + place) for place, match in enumerate(found) if match]
    if len(own) < len(options) or not all(own):
        return [option.strip() for option in options]
    return [option[match.end() :].strip() for option, match in zip(options, found, strict=True) if match]


def checked_letter(answer: Any, options: Sequence[str]) -> str:
    """The answer's letter from "B", "(B)" or "B.". Raises `RowError` where it is none of the options'."""
    letter = str(answer).strip().strip("().").strip()
    if len(letter) != 1 or letter not in (chr(ord("A") + place) for place in range(len(options))):
        raise RowError(f"the answer {answer!r} is none of the {len(options)} options' letters")
    return letter


def checked_text(row: Mapping[str, Any], name: str) -> str:
    """A field that holds text. Raises `KeyError` where it is missing, `RowError` where it is empty."""
    value = row[name]
    if value is None or not str(value).strip():
        raise RowError(f"field {name!r} is empty")
    return str(value).strip()


class VideoFiles:
    """Video files by name, in the folders of a benchmark that may hold them."""

    def __init__(self, folder: Path, places: Sequence[str]) -> None:
        self.expected = folder / places[0]
        self._found: dict[str, Path] = {}
        for place in reversed(places):
            if (folder / place).is_dir():
                files = (file for file in sorted((folder / place).iterdir()) if file.suffix.lower() in EXTENSIONS)
                self._found |= {key: file for file in files for key in (file.stem, file.name)}

    def path(self, name: str) -> Path:
        """The path of the video of that name (with or without suffix), or where it is expected."""
        return self._found.get(name) or self.expected / (name if Path(name).suffix else f"{name}.mp4")


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises `ValueError` with the file's name."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not JSON ({error}): fetch it again") from error


def json_list(path: Path) -> list[Any]:
    """The list that a JSON file holds. Raises `ValueError` where it holds something else."""
    rows = read_json(path)
    if not isinstance(rows, list):
        raise ValueError(f"{path} holds no list of questions: fetch it again")
    return rows


def parquet_rows(files: Sequence[Path]) -> list[dict[str, Any]]:
    """The rows of parquet files. Raises `ValueError` with the name of a damaged one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = []
    for file in files:
        try:
            rows += pq.read_table(file).to_pylist()
        except pa.ArrowException as error:
            raise ValueError(f"{file} is not a parquet file ({error}): fetch it again") from error
    return rows


def dataset_rows(dataset: str, splits: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of a `datasets` id or local dataset folder, of the first of `splits` that it has. Raises `ValueError`."""
    from datasets import get_dataset_split_names, load_dataset

    try:
        present = get_dataset_split_names(dataset)
        split = next((name for name in splits if name in present), None)
        if split is None:
            raise ValueError(f"data set {dataset!r} has the splits {', '.join(present)}, none of {', '.join(splits)}")
        return [dict(row) for row in load_dataset(dataset, split=split)]
    except (OSError, RuntimeError) as error:
        raise ValueError(f"cannot load data set {dataset!r}: {error}") from error


def first_file(folder: Path, names: Sequence[str]) -> Path | None:
    """The first of the relative `names` that is a file in `folder`."""
    return next((folder / name for name in names if (folder / name).is_file()), None)


def check_split(split: str, splits: Sequence[str], benchmark: str) -> None:
    """Raises `ValueError` unless the benchmark has that split."""
    if split not in splits:
        raise ValueError(f"no items in split {split!r}: {benchmark} has {' or '.join(splits)}")
