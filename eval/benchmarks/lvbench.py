"""LVBench: `video_info.meta.jsonl` with one video a line, and the videos by YouTube key."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from videorouter.eval.benchmarks.items import (
    Benchmark,
    Item,
    Published,
    RowError,
    VideoFiles,
    check_split,
    checked_letter,
    checked_options,
    checked_text,
    collected,
    first_file,
)

SPLITS: Final = ("test",)
PUBLISHED: Final = Published(
    questions=(1549,),
    videos=103,
    groups={},
    source="zai-org/LVBench",
    fetch="download the videos by key with the scripts of github.com/zai-org/LVBench into all_videos/KEY.mp4",
)
_OPTION = re.compile(r"\n\s*\(([A-Z])\)\s*")
_SPAN = re.compile(r"((?:\d+:)?\d+:\d+(?:\.\d+)?)\s*[-–~]\s*((?:\d+:)?\d+:\d+(?:\.\d+)?)")


def load(folder: Path, split: str, rows: str | None = None) -> Benchmark:
    """All questions. Raises `ValueError` for a folder of another layout."""
    check_split(split, SPLITS, "LVBench")
    if rows:
        raise ValueError("LVBench is read from video_info.meta.jsonl alone: leave out the data set")
    file = first_file(folder, ("video_info.meta.jsonl", "data/video_info.meta.jsonl"))
    if file is None:
        raise ValueError(
            f"{folder} is not an LVBench folder: video_info.meta.jsonl is missing. Fetch it from {PUBLISHED.source}"
        )
    videos = VideoFiles(folder, ("all_videos", "videos", "video", "."))
    return collected(_questions(file), lambda name, row: _item(videos, row))


def _questions(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each question with its video's fields; a line that holds none comes as a row that lacks everything."""
    for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if not line.strip():
            continue
        try:
            video = json.loads(line)
            asked = [{"key": video["key"], "type": video["type"], **question} for question in video["qa"]]
        except (json.JSONDecodeError, KeyError, TypeError):
            yield f"line {number}", {}
            continue
        yield from ((str(row.get("uid") or f"line {number}"), row) for row in asked)


def _item(videos: VideoFiles, row: dict[str, Any]) -> Item:
    question, *rest = _OPTION.split(checked_text(row, "question"))
    if rest[::2] != [chr(ord("A") + place) for place in range(len(rest) // 2)]:
        raise RowError(f"the options are lettered {' '.join(rest[::2])}")
    options = checked_options(rest[1::2])
    types = row["question_type"]
    return Item(
        id=checked_text(row, "uid"),
        video=videos.path(checked_text(row, "key")),
        question=question.strip(),
        options=options,
        answer=checked_letter(row["answer"], options),
        # A question may test several abilities at once.
        groups={
            "question_type": " + ".join(types) if isinstance(types, list) else str(types),
            "type": checked_text(row, "type"),
        },
        evidence_spans=spans(str(row.get("time_reference") or "")),
    )


def spans(reference: str) -> tuple[tuple[float, float], ...]:
    """Seconds `[start, end)` of "00:15-00:19, 01:02:03-01:02:10"; a moment lasts a second; what cannot be read gives none."""
    found = ((_seconds(start), _seconds(end)) for start, end in _SPAN.findall(reference))
    return tuple((start, max(end, start + 1.0)) for start, end in found if end >= start)


def _seconds(moment: str) -> float:
    return sum(float(part) * 60**place for place, part in enumerate(reversed(moment.split(":"))))
