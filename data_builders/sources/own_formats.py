"""Our own files: questions one a line, `NAME.segments.json` beside a joined video, and questions written by hand."""

from collections.abc import Iterator
from pathlib import Path

from videorouter.data_builders.rejects import Reject
from videorouter.data_builders.sources.files import as_raw, json_entries, read_json
from videorouter.data_builders.sources.moment_retrieval import CHARADES_LICENCE
from videorouter.data_builders.sources.rows import Converted, Malformed, Row, checked_spans
from videorouter.shards.schema import VideoQuestion

SEGMENTS_SUFFIX = ".segments.json"


def question_of_line(row: Row) -> Iterator[Converted]:
    """The `VideoQuestion` of a JSON line. Raises pydantic's `ValidationError`."""
    yield VideoQuestion.model_validate(row.content)


def segment_rows(path: Path) -> Iterator[Row | Reject]:
    """When each clip of a joined video starts and ends: `{"segments": [{"clip", "start", "end"}, ...]}` in seconds.

    Raises `Malformed` for another file.
    """
    content = read_json(path)
    segments = content.get("segments") if isinstance(content, dict) else None
    if not isinstance(segments, list):
        raise Malformed("no list `segments` in it")
    for number, segment in enumerate(segments):
        yield Row(f"{path.name}:{number}", number, segment, as_raw(segment))


def segment_questions(row: Row) -> Iterator[Converted]:
    """One question a clip; the video is the file of the same name without suffix. Raises `Malformed`."""
    joined = row.where.rpartition(":")[0].removesuffix(SEGMENTS_SUFFIX)
    name = f"{joined}-{row.number}"
    clip = row.text("clip")
    spans, fixes = checked_spans(name, [(row.field("start"), row.field("end"))])
    yield from fixes
    yield VideoQuestion(
        id=name,
        video=joined,
        question=f"Which part shows the clip {Path(clip).stem}?",
        task_type="clip_retrieval",
        evidence=spans,
        source="segments",
    )


def video_pair_rows(path: Path) -> Iterator[Row | Reject]:
    """`{VIDEO: {"questions": [text, ...], "charades_sta": [[start, end, sentence], ...]}}`, both optional: one row a video.

    Names that begin with an underscore are remarks about the file. Raises `Malformed` where it is no JSON object.
    """
    return (row for row in json_entries(path) if not _is_remark(row))


def video_pair_questions(row: Row) -> Iterator[Converted]:
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
        spans, fixes = checked_spans(name, [entry[:2]])
        yield from fixes
        yield VideoQuestion(
            id=name,
            video=video,
            question=entry[2],
            task_type="temporal_grounding",
            evidence=spans,
            source="video_pairs",
            licence=CHARADES_LICENCE,
        )


def _is_remark(row: Row | Reject) -> bool:
    return isinstance(row, Row) and row.where.partition(":")[2].startswith("_")
