"""NExT-GQA: NExT-QA's questions (see `nextqa`) with the spans that answer them, from `gsub_X.json` beside `X.csv`.

`gsub_X.json` is `{VIDEO: {"duration": seconds, "location": {QID: [[start, end], ...]}, "fps"}}`. `train.csv` comes without spans:
where there is no such file its questions are kept without evidence. A question that the file lacks is a `Reject`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from videorouter.data_builders.rejects import Reject
from videorouter.data_builders.sources import nextqa
from videorouter.data_builders.sources.evidence import Mended, checked_spans
from videorouter.data_builders.sources.rows import Malformed, Row, named, read_json
from videorouter.shards.schema import VideoQuestion


def rows(path: Path) -> Iterator[Row | Reject]:
    """The rows of the CSV file, each with the `grounding` of its video (null without `gsub_X.json`).

    Raises `Malformed` where its header lacks a column, or `gsub_X.json` is no JSON object.
    """
    beside = path.with_name(f"gsub_{path.stem}.json")
    grounding: dict[str, Any] | None = None
    if beside.is_file():
        grounding = read_json(beside)
        if not isinstance(grounding, dict):
            raise Malformed(f"a JSON object is expected in {beside.name}, it holds {named(grounding)}")
    for row in nextqa.rows(path):
        if isinstance(row, Row):
            found = None if grounding is None else grounding.get(row.content["video_id"], {})
            yield Row(row.where, row.number, {**row.content, "grounding": found}, row.raw)
        else:
            yield row


def questions(row: Row) -> Iterator[VideoQuestion | Reject | Mended]:
    """The question of a row with its spans, clamped to the video's length. Raises `Malformed`."""
    question = nextqa.multiple_choice(row, "nextgqa")
    if row.content["grounding"] is None:
        yield question
        return
    grounding = Row(row.where, row.number, row.content["grounding"], row.raw)
    try:
        located = grounding.field("location")
        spans = Row(row.where, row.number, located, row.raw).items(row.text("qid"))
        duration = grounding.seconds("duration")
    except Malformed as error:
        raise Malformed(f"in the spans of video {question.video}: {error}") from error
    kept, mended = checked_spans(question.id, spans, duration)
    yield from mended
    yield question.model_copy(update={"evidence": kept})
