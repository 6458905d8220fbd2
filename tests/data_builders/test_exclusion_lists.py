"""A benchmark's videos are left out by a list of ids or by the benchmark's own rows, in any form in which these are published."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from videorouter.data_builders.sources.excluded import read_excluded

Rows = list[dict[str, Any]]
VIDEO_MME: Rows = [
    {"video_id": "001", "duration": "short", "url": "https://www.youtube.com/watch?v=fFjv93ACGo8", "videoID": "fFjv93ACGo8",
     "question_id": "001-1", "question": 'Which "one",\nof two?', "options": ["A. x", "B. y"], "answer": "C"},
    {"video_id": "002", "duration": "long", "url": "https://www.youtube.com/watch?v=N1cdUjctpG8", "videoID": "N1cdUjctpG8",
     "question_id": "002-1", "question": "Why?", "options": ["A. x", "B. y"], "answer": "A"},
]  # fmt: skip
MLVU: Rows = [
    {
        "video": name,
        "duration": 480.0,
        "question": "What?",
        "candidates": ["x"],
        "answer": "x",
        "question_type": "plotQA",
    }
    for name in ("movie101_66.mp4", "AWA-6.mp4")
]
LONGVIDEOBENCH: Rows = [
    {"video_id": name, "video_path": f"{name}.mp4", "id": f"{name}_0", "question": "When?", "candidates": ["x"]}
    for name in ("86CxyhFV9MI", "@user-7211155450985491755")
]
PUBLISHED = {
    "Video-MME": (VIDEO_MME, {"fFjv93ACGo8", "N1cdUjctpG8"}),
    "MLVU": (MLVU, {"movie101_66", "AWA-6"}),
    "LongVideoBench": (LONGVIDEOBENCH, {"86CxyhFV9MI", "@user-7211155450985491755"}),
}


def _csv(path: Path, rows: Rows) -> None:
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _parquet(path: Path, rows: Rows) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(rows), path)


WRITERS: dict[str, Callable[[Path, Rows], object]] = {
    "rows.json": lambda path, rows: path.write_text(json.dumps(rows, indent=1), encoding="utf-8-sig"),
    "rows.jsonl": lambda path, rows: path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8-sig"),
    "rows.csv": _csv,
    "rows.parquet": _parquet,
    "ids.csv": lambda path, rows: path.write_text("video\n" + "\n".join(_name(row) for row in rows)),
    "ids.json": lambda path, rows: path.write_text(json.dumps([_name(row) for row in rows])),
    "ids.txt": lambda path, rows: path.write_text("\n".join(_name(row) for row in rows), encoding="utf-8-sig"),
}


def _name(row: dict[str, Any]) -> str:
    return str(row.get("videoID") or row.get("video_id") or row["video"])


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("benchmark", PUBLISHED)
def test_a_benchmarks_own_rows_exclude_its_videos(benchmark: str, form: str, tmp_path: Path) -> None:
    rows, names = PUBLISHED[benchmark]
    WRITERS[form](tmp_path / form, rows)
    assert set(read_excluded(tmp_path / form)) == names


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (
            "rows.json",
            json.dumps([VIDEO_MME[0], {"question": "Which?"}]).encode(),
            r"rows\.json:2 names no video: videoID",
        ),
        ("rows.json", json.dumps([{"videoID": None}]).encode(), r"rows\.json:1: `videoID` is missing"),
        ("rows.jsonl", b'{"videoID": "a"}\n{"videoID": ', r"rows\.jsonl:2: not JSON"),
        ("rows.csv", b'videoID,question\na,"open\nb,so\n', r"rows\.csv:2: not a CSV row"),
        ("ids.txt", "a\n".encode("utf-16"), "UTF-16 text: save it as UTF-8"),
        ("ids.txt", b"a\ncaf\xe9\n", "line 2 is not UTF-8"),
        ("rows.parquet", b"PAR1 but no more", "not a parquet file"),
        ("ids.json", b"[]", "excludes nothing"),
    ],
)
def test_a_list_that_does_not_read_excludes_nothing_and_is_refused(
    name: str, content: bytes, told: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=told):
        read_excluded(tmp_path / name)


def test_parquet_without_a_column_of_videos_names_its_columns(tmp_path: Path) -> None:
    _parquet(tmp_path / "rows.parquet", [{"question": "Which?", "answer": "A"}])
    with pytest.raises(ValueError, match="columns question, answer"):
        read_excluded(tmp_path / "rows.parquet")
