"""Video-MME as `lmms-lab/Video-MME` holds it: `videomme/test-*.parquet`, unpacked videos and `subtitle.zip`."""

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
    checked_letter,
    checked_options,
    checked_text,
    collected,
    dataset_rows,
    parquet_rows,
)

SPLITS: Final = ("test",)
DURATIONS: Final = ("short", "medium", "long")
PUBLISHED: Final = Published(
    questions=(2700,),
    videos=900,
    groups={"duration": dict.fromkeys(DURATIONS, 900)},
    source="lmms-lab/Video-MME",
    archives=tuple(f"videos_chunked_{number:02d}.zip" for number in range(1, 21)),
    subtitles="subtitle.zip",
)


def load(folder: Path, split: str, rows: str | None = None) -> Benchmark:
    """All questions; `rows` names a data set to take them from. Raises `ValueError` for a folder of another layout."""
    check_split(split, SPLITS, "Video-MME")
    videos = VideoFiles(folder, ("data", "videos", "video", "."))
    found = dataset_rows(rows, SPLITS) if rows else parquet_rows(_files(folder))
    return collected(
        ((str(row.get("question_id") or f"row {number}"), row) for number, row in enumerate(found)),
        lambda name, row: _item(folder, videos, name, row),
    )


def _files(folder: Path) -> list[Path]:
    files = sorted(folder.glob("videomme/test-*.parquet")) or sorted(folder.glob("test-*.parquet"))
    if not files:
        raise ValueError(
            f"{folder} is not a Video-MME folder: videomme/test-00000-of-00001.parquet is missing. "
            f"Fetch it from {PUBLISHED.source}"
        )
    return files


def _item(folder: Path, videos: VideoFiles, name: str, row: dict[str, Any]) -> Item:
    options = checked_options(row["options"])
    groups = {field: checked_text(row, field) for field in ("duration", "domain", "sub_category", "task_type")}
    if groups["duration"] not in DURATIONS:
        raise RowError(f"duration {groups['duration']!r} is none of {', '.join(DURATIONS)}")
    video = checked_text(row, "videoID")
    places = (folder / place / f"{video}.srt" for place in ("subtitle", "subtitles"))
    subtitles = next((path for path in places if path.is_file()), None)
    return Item(
        id=checked_text(row, "question_id"),
        video=videos.path(video),
        question=checked_text(row, "question"),
        options=options,
        answer=checked_letter(row["answer"], options),
        groups=groups,
        subtitles=Subtitles(subtitles) if subtitles else None,
    )
