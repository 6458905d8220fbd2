"""LongVideoBench's validation questions: `lvb_val.json`, or the parquet form with `option0` to `option4`."""

import json
from pathlib import Path
from typing import Any, Final

from videorouter.eval.benchmarks.items import (
    Benchmark,
    Item,
    Published,
    RowError,
    Subtitles,
    VideoFiles,
    check_split,
    checked_options,
    checked_text,
    collected,
    dataset_rows,
    first_file,
    json_list,
    parquet_rows,
)

SPLITS: Final = ("val", "validation")
RANGES: Final = {"15": (8, 15), "60": (15, 60), "600": (180, 600), "3600": (900, 3600)}
"""Seconds of the videos of each duration group."""
SLACK: Final = 0.1  # of a range's ends: durations are rounded in the files
FASTEST: Final = 60  # frames a second; no video of the benchmark has more
PUBLISHED: Final = Published(
    questions=(1337,),
    videos=753,
    groups={"duration_group": {"15": 189, "60": 172, "600": 412, "3600": 564}},
    source="longvideobench/LongVideoBench",
    fetch="fetch every videos.tar.part.*, then `cat videos.tar.part.* | tar -x` in the folder",
    subtitles="subtitles.tar",
)


def load(folder: Path, split: str, rows: str | None = None) -> Benchmark:
    """All questions; `rows` names a data set of the parquet form. Raises `ValueError` for a folder of another layout."""
    check_split(split, SPLITS, "LongVideoBench")
    videos = VideoFiles(folder, ("videos", "video", "."))
    found = dataset_rows(rows, ("validation", "val")) if rows else _rows(folder)
    return collected(
        (
            (str((row.get("id") if isinstance(row, dict) else None) or f"row {number}"), row)
            for number, row in enumerate(found)
        ),
        lambda name, row: _item(folder, videos, name, row),
    )


def _rows(folder: Path) -> list[Any]:
    questions = first_file(folder, ("lvb_val.json", "json/lvb_val.json"))
    if questions is not None:
        return json_list(questions)
    parquets = sorted(folder.glob("validation-*.parquet")) or sorted(folder.glob("*/validation-*.parquet"))
    if not parquets:
        raise ValueError(
            f"{folder} is not a LongVideoBench folder: neither lvb_val.json nor validation-*.parquet is there. "
            f"Fetch it from {PUBLISHED.source}"
        )
    return parquet_rows(parquets)


def _item(folder: Path, videos: VideoFiles, name: str, row: dict[str, Any]) -> Item:
    options = checked_options(row["candidates"] if "candidates" in row else _unpadded(row))
    choice = int(row["correct_choice"])
    if not 0 <= choice < len(options):
        raise RowError(f"correct_choice {choice} is none of the {len(options)} options")
    group, duration = str(row["duration_group"]), float(row["duration"])
    low, high = RANGES.get(group, (0, 0))
    if not low * (1 - SLACK) <= duration <= high * (1 + SLACK):
        raise RowError(f"a duration of {duration:g} s is outside the duration group {group}")
    position = row["position"]
    frames = tuple(int(frame) for frame in (json.loads(position) if isinstance(position, str) else position))
    outside = [frame for frame in frames if not 0 <= frame <= duration * FASTEST]
    if outside:
        raise RowError(f"position {outside[0]} is beyond a video of {duration:g} s")
    groups = {field: checked_text(row, field) for field in ("question_category", "topic_category", "level")}
    subtitles = folder / "subtitles" / str(row.get("subtitle_path") or "")
    return Item(
        id=checked_text(row, "id"),
        video=videos.path(checked_text(row, "video_path")),
        question=checked_text(row, "question"),
        options=options,
        answer=chr(ord("A") + choice),
        groups={"duration_group": group, **groups},
        evidence_frames=frames,
        subtitles=Subtitles(subtitles, float(row.get("starting_timestamp_for_subtitles") or 0))
        if subtitles.is_file()
        else None,
    )


def _unpadded(row: dict[str, Any]) -> list[str]:
    """The options before the first "N/A"; one after it is a hole, which would move the answer."""
    padded = [row[f"option{place}"] for place in range(5)]
    kept = [option for option in padded if option not in ("N/A", None)]
    if padded[: len(kept)] != kept:
        raise RowError('an option follows "N/A"')
    return kept
