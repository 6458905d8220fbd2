"""NExT-QA and NExT-GQA: multiple choice in CSV, in NExT-GQA with the spans that answer a question.

Columns: `video_id`, `question`, `answer`, `qid` (a number within its video), `type` (CW, CH causal; TN, TC, TP temporal; DO, DL,
DC descriptive), `a0` ... `a4`. `answer` is an option's text, as in NExT-GQA's files, or the number of the option (0-4), as in
NExT-QA's own: which of the two a file means is what most of its answers are. `frame_count`, `width` and `height` are not
used: no frame rate comes with them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from videorouter.data_builders.rejects import Reject
from videorouter.data_builders.sources.files import csv_rows, read_json
from videorouter.data_builders.sources.rows import Converted, Malformed, Row, checked_spans, json_kind
from videorouter.shards.schema import VideoQuestion

LICENCE = "MIT (annotations, as the NExT-GQA repository states)"
OPTIONS = ("a0", "a1", "a2", "a3", "a4")
NUMBERS = ("0", "1", "2", "3", "4")
COLUMNS = ("video_id", "question", "answer", "qid", "type", *OPTIONS)
TASKS = {
    "CW": "causal_why",
    "CH": "causal_how",
    "TN": "temporal_next",
    "TC": "temporal_current",
    "TP": "temporal_previous",
    "DO": "descriptive_other",
    "DL": "descriptive_location",
    "DC": "descriptive_count",
}


def rows(path: Path) -> Iterator[Row | Reject]:
    """The rows of the CSV file, answers as text. Raises `Malformed` where its header lacks a column."""
    found = list(csv_rows(path, COLUMNS))
    answers = [row.content["answer"].strip() for row in found if isinstance(row, Row)]
    numbered = 2 * sum(answer in NUMBERS for answer in answers) > len(answers)
    for row in found:
        if numbered and isinstance(row, Row) and row.content["answer"].strip() in NUMBERS:
            chosen = row.content[OPTIONS[int(row.content["answer"])]]
            yield Row(row.where, row.number, {**row.content, "answer": chosen}, row.raw)
        else:
            yield row


def questions(row: Row) -> Iterator[Converted]:
    """The question of a row, without evidence. Raises `Malformed`."""
    yield _multiple_choice(row, "nextqa")


def beside(path: Path) -> tuple[Path]:
    """The file of spans that belongs to `X.csv`."""
    return (path.with_name(f"gsub_{path.stem}.json"),)


def grounded_rows(path: Path) -> Iterator[Row | Reject]:
    """The rows of `X.csv`, each with the `grounding` of its video from `gsub_X.json` beside it (null without such a file).

    That is `{VIDEO: {"duration": seconds, "location": {QID: [[start, end], ...]}, "fps"}}`. `train.csv` comes without spans.
    Raises `Malformed` where its header lacks a column, or `gsub_X.json` is no JSON object.
    """
    (spans,) = beside(path)
    grounding: dict[str, Any] | None = None
    if spans.is_file():
        grounding = read_json(spans)
        if not isinstance(grounding, dict):
            raise Malformed(f"a JSON object is expected in {spans.name}, it holds {json_kind(grounding)}")
    for row in rows(path):
        if isinstance(row, Row):
            found = None if grounding is None else grounding.get(row.content["video_id"], {})
            yield Row(row.where, row.number, {**row.content, "grounding": found}, row.raw)
        else:
            yield row


def grounded_questions(row: Row) -> Iterator[Converted]:
    """The question of a row with its spans, clamped to the video's length; without a file of spans it has no evidence.

    Raises `Malformed`, also where that file lacks the question.
    """
    question = _multiple_choice(row, "nextgqa")
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
    kept, fixes = checked_spans(question.id, spans, duration)
    yield from fixes
    yield question.model_copy(update={"evidence": kept})


def _multiple_choice(row: Row, source: str) -> VideoQuestion:
    """The question of a row, without evidence. Raises `Malformed`."""
    options = [row.text(column) for column in OPTIONS]
    answer = row.text("answer")
    if answer not in options:
        raise Malformed(f"`answer` is {answer!r}, none of the options {options}")
    kind = row.text("type")
    if kind not in TASKS:
        raise Malformed(f"`type` is {kind!r}: there are {', '.join(TASKS)}")
    return VideoQuestion(
        id=f"{source}-{row.text('video_id')}-{row.text('qid')}",
        video=row.text("video_id"),
        question=row.text("question"),
        options=options,
        answer=answer,
        task_type=TASKS[kind],
        source=source,
        licence=LICENCE,
    )
