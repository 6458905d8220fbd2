"""Lists of videos that must not be trained on, as people keep them or as benchmarks publish their rows; and a video's names."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from videorouter.data_builders.rejects import Reject
from videorouter.data_builders.sources.csv_file import csv_rows
from videorouter.data_builders.sources.encoding import utf8_lines
from videorouter.data_builders.sources.files import first_byte, json_list_or_lines
from videorouter.data_builders.sources.rows import Malformed, Row
from videorouter.video.containers import without_extension

VIDEO_FIELDS = ("videoID", "video_id", "video_name", "video_path", "video", "key")
"""Where a benchmark's row names its video, the first that it has: `video_id` is a number in Video-MME, whose videos are named by
`videoID`; LongVideoBench has `video_id`, MLVU `video` (`video_name` in one copy), LVBench `key`."""
_PARQUET = b"PAR1"
_YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_CUT_OUT = re.compile(r"([A-Za-z0-9_-]{11})_\d+(?:\.\d+)?_\d+(?:\.\d+)?")
_ADDRESS = re.compile(r"(?:[?&]v=|youtu\.be/|/embed/|/shorts/)([A-Za-z0-9_-]{11})")
_PREFIXES = ("v_", "ytb_")
"""Of ActivityNet's files, and of LLaVA-Video-178K's from YouTube."""


def read_excluded(path: Path) -> dict[str, str]:
    """Names of excluded videos, each with the video as the list writes it.

    A list is text with a video a line (blank lines and lines that begin with `#` are left out), or a benchmark's rows: a JSON
    list or JSONL of objects with one of `VIDEO_FIELDS`, a CSV file whose header has one, or parquet. Raises `ValueError` where
    there is no such file, nothing in it, or a row that names no video: what cannot be read excludes nothing.
    """
    if not path.is_file():
        raise ValueError(f"no list of excluded videos at {path}")
    try:
        videos = list(_listed(path))
    except Malformed as error:
        raise ValueError(f"the list of excluded videos {path} does not read: {error}") from error
    names = {name: video for video in videos for name in _file_names(video)}
    if not names:
        raise ValueError(f"{path} excludes nothing: one video id a line is expected, or rows of a benchmark")
    return names


def video_names(video: str) -> set[str]:
    """The names a video may be excluded by, from its path, file name, id or YouTube address; case counts.

    The file's name without a video's extension; that without a leading `v_` or `ytb_`; the YouTube id of a part cut out of a
    video (`{id}_{start}_{end}`) and of an address; a folder that is a YouTube id (clips of one video, `{id}/split_2.mp4`).
    """
    return _file_names(video) | {folder for folder in video.split("/")[:-1] if _YOUTUBE_ID.fullmatch(folder)}


def _file_names(video: str) -> set[str]:
    if address := _ADDRESS.search(video):
        return {address[1]}
    name = without_extension(video.replace("\\", "/").rstrip("/").rpartition("/")[2])
    names = {name, *(name.removeprefix(prefix) for prefix in _PREFIXES)}
    names |= {cut[1] for plain in names if (cut := _CUT_OUT.fullmatch(plain))}
    return names - {""}


def _listed(path: Path) -> Iterator[str]:
    """The videos of a list in their order, as it writes them. Raises `Malformed`."""
    with path.open("rb") as file:
        parquet = file.read(4) == _PARQUET
    if parquet:
        yield from _of_parquet(path)
    elif first_byte(path) in (b"[", b"{"):
        yield from map(_named, json_list_or_lines(path))
    elif _has_header(path):
        yield from map(_named, csv_rows(path))
    else:
        yield from _of_text(path)


def _of_text(path: Path) -> Iterator[str]:
    for number, content in utf8_lines(path):
        try:
            line = content.decode().strip()
        except UnicodeDecodeError as error:
            raise Malformed(f"line {number} is not UTF-8: save it as UTF-8") from error
        if not line.startswith("#"):
            yield line


def _has_header(path: Path) -> bool:
    """Whether the first line names a column of a benchmark's rows; a list of ids in one column has such a line, too."""
    first = next((content.decode(errors="replace") for _, content in utf8_lines(path)), "")
    return any(name.strip().strip('"') in VIDEO_FIELDS for name in first.split(","))


def _of_parquet(path: Path) -> Iterator[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        columns = pq.read_schema(path).names
        field = next((name for name in VIDEO_FIELDS if name in columns), None)
        if field is None:
            raise Malformed(f"it has the columns {', '.join(columns)}, none of {', '.join(VIDEO_FIELDS)}")
        rows = pq.read_table(path, columns=[field]).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise Malformed(f"not a parquet file ({' '.join(str(error).split())[:300]})") from error
    for number, row in enumerate(rows, start=1):
        yield _named(Row(f"{path.name}:{number}", number, row, json.dumps(row, default=str)))


def _named(row: Row | Reject) -> str:
    """The video that a row names. Raises `Malformed`, which says where it names none."""
    if isinstance(row, Reject):
        raise Malformed(f"{row.item}: {row.reason}")
    content: Any = row.content
    if isinstance(content, str) and content.strip():  # a JSON list of ids
        return content.strip()
    field = next((name for name in VIDEO_FIELDS if isinstance(content, Mapping) and name in content), None)
    if field is None:
        raise Malformed(f"{row.where} names no video: {', '.join(VIDEO_FIELDS)} are looked for")
    try:
        return row.text(field)
    except Malformed as error:
        raise Malformed(f"{row.where}: {error}") from error
