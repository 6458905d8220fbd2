"""`NAME.segments.json` beside a video joined from clips: when each clip starts and ends. One question a clip."""

from collections.abc import Iterator
from pathlib import Path

from videorouter.data_builders.rejects import Reject
from videorouter.data_builders.sources.evidence import Mended, checked_spans
from videorouter.data_builders.sources.rows import Malformed, Row, as_raw, read_json
from videorouter.shards.schema import VideoQuestion

SUFFIX = ".segments.json"


def rows(path: Path) -> Iterator[Row | Reject]:
    """`{"segments": [{"clip", "start", "end"}, ...]}` in seconds. Raises `Malformed` for another file."""
    content = read_json(path)
    segments = content.get("segments") if isinstance(content, dict) else None
    if not isinstance(segments, list):
        raise Malformed("no list `segments` in it")
    for number, segment in enumerate(segments):
        yield Row(f"{path.name}:{number}", number, segment, as_raw(segment))


def questions(row: Row) -> Iterator[VideoQuestion | Reject | Mended]:
    """The video is the file of the same name without suffix. Raises `Malformed`."""
    joined = row.where.rpartition(":")[0].removesuffix(SUFFIX)
    name = f"{joined}-{row.number}"
    clip = row.text("clip")
    spans, mended = checked_spans(name, [(row.field("start"), row.field("end"))])
    yield from mended
    yield VideoQuestion(
        id=name,
        video=joined,
        question=f"Which part shows the clip {Path(clip).stem}?",
        task_type="clip_retrieval",
        evidence=spans,
        source="segments",
    )
