"""NExT-QA and NExT-GQA: multiple choice in CSV, in NExT-GQA with the spans that answer a question.

Columns: `video` (NExT-QA's own repository) or `video_id` (NExT-GQA), `question`, `answer`, `qid` (a number within its video),
`type` (CW, CH causal; TN, TC, TP temporal; DO, DL, DC descriptive), `a0` ... `a4`. `frame_count`, `width` and `height` are not
used: no frame rate comes with them.

`answer` is the number of an option (0-4) in NExT-QA's own files, and an option's text in NExT-GQA's. One file means one of the two,
and a digit does not tell which: options of counts may be digits, too. Only rows that make sense one way tell: a digit that
is no option's text says numbers, a text that is an option says texts. What more of them say is what the file means; where none
does, the header tells: `video` comes with numbers.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from videorouter.data_builders.rejects import Reject
from videorouter.data_builders.sources.checks import plain_option
from videorouter.data_builders.sources.csv_file import csv_rows
from videorouter.data_builders.sources.files import read_json
from videorouter.data_builders.sources.rows import Converted, Fix, Malformed, Row, checked_spans, json_kind
from videorouter.shards.schema import VideoQuestion

LICENCE = "MIT (annotations, as the NExT-GQA repository states)"
OPTIONS = ("a0", "a1", "a2", "a3", "a4")
ROUNDING = 0.5
"""Seconds before their video at which spans of NExT-GQA may begin: 36 of its test split begin 0.1 or 0.2 s early."""
NUMBERS = ("0", "1", "2", "3", "4")
VIDEO = ("video_id", "video")
COLUMNS = ("question", "answer", "qid", "type", *OPTIONS)
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
    read = [row for row in found if isinstance(row, Row)]
    name = next((name for name in VIDEO if read and name in read[0].content), None)
    if read and name is None:
        raise Malformed(f"its header lacks {' or '.join(VIDEO)}")
    numbered = _answers_are_numbers(read, otherwise=name == "video")
    for row in found:
        if isinstance(row, Row):
            answer = row.content["answer"].strip()
            chosen = row.content[OPTIONS[int(answer)]] if numbered and answer in NUMBERS else answer
            yield Row(row.where, row.number, {**row.content, "video_id": row.content[name], "answer": chosen}, row.raw)
        else:
            yield row


def _answers_are_numbers(rows: Sequence[Row], otherwise: bool) -> bool:
    """Whether a file's answers are numbers of options, not their texts; `otherwise` where no row tells."""
    numbers = texts = 0
    for row in rows:
        answer = row.content["answer"].strip()
        is_text = answer in (row.content[column].strip() for column in OPTIONS)
        numbers += answer in NUMBERS and not is_text
        texts += is_text and answer not in NUMBERS
    return numbers > texts if numbers != texts else otherwise


def questions(row: Row) -> Iterator[Converted]:
    """The question of a row, without evidence. Raises `Malformed`."""
    question, fixes = _multiple_choice(row, "nextqa")
    yield from fixes
    yield question


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
    question, merged = _multiple_choice(row, "nextgqa")
    if row.content["grounding"] is None:
        yield from merged
        yield question
        return
    grounding = Row(row.where, row.number, row.content["grounding"], row.raw)
    try:
        located = grounding.field("location")
        spans = Row(row.where, row.number, located, row.raw).items(row.text("qid"))
        duration = grounding.seconds("duration")
    except Malformed as error:
        raise Malformed(f"in the spans of video {question.video}: {error}") from error
    kept, fixes = checked_spans(question.id, spans, duration, ROUNDING)
    yield from (*merged, *fixes)
    yield question.model_copy(update={"evidence": kept})


def _multiple_choice(row: Row, source: str) -> tuple[VideoQuestion, list[Fix]]:
    """The question of a row, without evidence. An option that stands twice, as in a few rows of every split, is kept once.

    Raises `Malformed`.
    """
    options = [row.text(column) for column in OPTIONS]
    answer = row.text("answer")
    if answer not in options:
        raise Malformed(f"`answer` is {answer!r}, none of the options {options}")
    kind = row.text("type")
    if kind not in TASKS:
        raise Malformed(f"`type` is {kind!r}: there are {', '.join(TASKS)}")
    name = f"{source}-{row.text('video_id')}-{row.text('qid')}"
    plain = [plain_option(option) for option in options]
    again = [place for place, option in enumerate(plain) if option in plain[:place]]
    question = VideoQuestion(
        id=name,
        video=row.text("video_id"),
        question=row.text("question"),
        options=[option for place, option in enumerate(options) if place not in again],
        answer=options[plain.index(plain_option(answer))],
        task_type=TASKS[kind],
        source=source,
        licence=LICENCE,
    )
    return question, [Fix(name, "merged", f"the option {options[place]!r} stands twice") for place in again]
