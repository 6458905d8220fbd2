"""The multiple-choice questions of MLVU's dev set: seven JSON files as on GitHub, or the mirror `sy1998/MLVU_dev` as parquet."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from videorouter.eval.benchmarks.items import (
    Benchmark,
    Item,
    Published,
    RowError,
    check_split,
    checked_letter,
    checked_options,
    checked_text,
    collected,
    dataset_rows,
    json_list,
    parquet_rows,
)
from videorouter.video.containers import EXTENSIONS

SPLITS: Final = ("dev", "test")  # the mirror calls it test
COUNTS: Final = {
    "1_plotQA": 539,
    "2_needle": 355,
    "3_ego": 352,
    "4_count": 206,
    "5_order": 259,
    "6_anomaly_reco": 200,
    "7_topic_reasoning": 264,
}
FOLDERS: Final = {name.partition("_")[2]: name for name in COUNTS}
PUBLISHED: Final = Published(
    questions=(2175, 2174),
    videos=None,
    groups={"task": {task: COUNTS[name] for task, name in FOLDERS.items()}},
    source="MLVU/MVLU (or the mirror sy1998/MLVU_dev)",
    fetch="fetch the task's folder under MLVU/video/, or unpack the mirror's archives into video/",
)
_FIRST_OPTION = re.compile(r"\s*\n\s*\(A\)|\s+\(A\) ")


def load(folder: Path, split: str, rows: str | None = None) -> Benchmark:
    """All questions; `rows` names a data set of the mirror's form. Raises `ValueError` for a folder of another layout."""
    check_split(split, SPLITS, "MLVU")
    videos = _videos(folder)
    return collected(_numbered(_rows(folder, rows)), lambda name, row: _item(folder, videos, name, row))


def _rows(folder: Path, rows: str | None) -> Iterator[dict[str, Any]]:
    """Rows with the fields of the GitHub form, and the task."""
    if rows:
        yield from dataset_rows(rows, SPLITS)
        return
    places = ("json", "data", "MLVU/json", "MLVU/data", ".")
    place = next((place for place in places if (folder / place / "1_plotQA.json").is_file()), None)
    if place is not None:
        missing = [f"{name}.json" for name in COUNTS if not (folder / place / f"{name}.json").is_file()]
        if missing:
            raise ValueError(
                f"{folder / place} lacks {', '.join(missing)}: fetch them from github.com/JUNJIE99/MLVU, data/"
            )
        for task, name in FOLDERS.items():
            for row in json_list(folder / place / f"{name}.json"):
                yield {"task": task, **row} if isinstance(row, dict) else {}
        return
    parquets = sorted(folder.glob("*.parquet")) or sorted(folder.glob("*/test-*.parquet"))
    if not parquets:
        raise ValueError(
            f"{folder} is not an MLVU folder: neither 1_plotQA.json (in it, json/ or data/) nor a parquet file. "
            f"Fetch it from {PUBLISHED.source}"
        )
    yield from parquet_rows(parquets)


def _numbered(rows: Iterator[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The files hold no ids: the task and the number within it."""
    counts: Counter[str] = Counter()
    for row in rows:
        task = str(row.get("task") or _task(str(row.get("task_type") or "unknown")))
        yield f"{task}-{counts[task]}", row
        counts[task] += 1


def _item(folder: Path, videos: dict[str, Path], name: str, row: dict[str, Any]) -> Item:
    options = checked_options(row["candidates"])
    mirror = "video_name" in row
    task = _task(checked_text(row, "task_type" if mirror else "task"))
    video = checked_text(row, "video_name" if mirror else "video")
    question = checked_text(row, "question")
    if mirror:
        question, answer = _FIRST_OPTION.split(question, maxsplit=1)[0].strip(), checked_letter(row["answer"], options)
    else:
        answer = _letter_of(row["answer"], row["candidates"])
    if not float(row["duration"]) > 0:
        raise RowError(f"the duration is {row['duration']!r} seconds")
    name_in_task = f"{FOLDERS.get(task, task)}/{Path(video).name}"
    expected = folder / "video" / (Path(video).name if mirror else name_in_task)
    found = videos.get(name_in_task) or videos.get(Path(video).name) or expected
    return Item(id=name, video=found, question=question, options=options, answer=answer, groups={"task": task})


def _task(name: str) -> str:
    """One name for a task of either form, such as `needle` for `findNeedle` and `2_needle`."""
    return {"findNeedle": "needle"}.get(name, name.lstrip("0123456789").lstrip("_"))


def _letter_of(answer: Any, candidates: list[Any]) -> str:
    places = [place for place, candidate in enumerate(candidates) if str(candidate).strip() == str(answer).strip()]
    if len(places) != 1:
        reason = "is none of the candidates" if not places else "occurs twice among the candidates"
        raise RowError(f"the answer {answer!r} {reason}")
    return chr(ord("A") + places[0])


def _videos(folder: Path) -> dict[str, Path]:
    """Files by name, and by folder and name: names of two tasks may be the same."""
    found: dict[str, Path] = {}
    for place in ("MLVU/video", "video", "videos", "MLVU_all"):
        for file in sorted((folder / place).rglob("*")) if (folder / place).is_dir() else ():
            if file.suffix.lower() in EXTENSIONS:
                found[f"{file.parent.name}/{file.name}"] = file
                found.setdefault(file.name, file)
    return found
