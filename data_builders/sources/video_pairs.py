"""Questions written by hand: `{VIDEO: {"questions": [text, ...], "charades_sta": [[start, end, sentence], ...]}}`, both optional.

Names that begin with an underscore are remarks about the file.
"""

from collections.abc import Iterator
from pathlib import Path

from videorouter.data_builders.rejects import Reject
from videorouter.data_builders.sources import charades_sta
from videorouter.data_builders.sources.evidence import Mended, checked_spans
from videorouter.data_builders.sources.rows import Malformed, Row, json_entries
from videorouter.shards.schema import VideoQuestion


def rows(path: Path) -> Iterator[Row | Reject]:
    """One row a video. Raises `Malformed` where the file is no JSON object."""
    return (row for row in json_entries(path) if not row_is_remark(row))


def questions(row: Row) -> Iterator[VideoQuestion | Reject | Mended]:
    """Open questions without an answer, and sentences with their spans. Raises `Malformed`."""
    video = row.where.partition(":")[2]
    if not isinstance(row.content, dict) or not {"questions", "charades_sta"} & set(row.content):
        raise Malformed("neither `questions` nor `charades_sta` in it")
    asked = row.items("questions") if "questions" in row.content else []
    for number, text in enumerate(asked):
        if not isinstance(text, str) or not text.strip():
            raise Malformed(f"question {number} is empty or no text")
        yield VideoQuestion(
            id=f"{video}-question-{number}", video=video, question=text, task_type="open_ended", source="video_pairs"
        )
    located = row.items("charades_sta") if "charades_sta" in row.content else []
    for number, entry in enumerate(located):
        if not isinstance(entry, list) or len(entry) != 3 or not isinstance(entry[2], str) or not entry[2].strip():
            raise Malformed(f"entry {number} of `charades_sta` is not [start, end, sentence]")
        name = f"{video}-span-{number}"
        spans, mended = checked_spans(name, [entry[:2]])
        yield from mended
        yield VideoQuestion(
            id=name,
            video=video,
            question=entry[2],
            task_type="temporal_grounding",
            evidence=spans,
            source="video_pairs",
            licence=charades_sta.LICENCE,
        )


def row_is_remark(row: Row | Reject) -> bool:
    """Whether a name begins with an underscore."""
    return isinstance(row, Row) and row.where.partition(":")[2].startswith("_")
