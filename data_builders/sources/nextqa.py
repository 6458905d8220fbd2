"""NExT-QA and the questions of NExT-GQA: multiple choice in CSV.

Columns: `video_id`, `question`, `answer`, `qid` (a number within its video), `type` (CW, CH causal; TN, TC, TP temporal; DO, DL,
DC descriptive), `a0` ... `a4`. `answer` is an option's text, as in NExT-GQA's files, or the number of the option (0-4), as in
NExT-QA's own: which of the two a file means is what most of its answers are. `frame_count`, `width` and `height` are not
used: no frame rate comes with them.
"""

from collections.abc import Iterator
from pathlib import Path

from videorouter.data_builders.rejects import Reject
from videorouter.data_builders.sources.evidence import Mended
from videorouter.data_builders.sources.rows import Malformed, Row, csv_rows
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


def questions(row: Row) -> Iterator[VideoQuestion | Reject | Mended]:
    """The question of a row, without evidence. Raises `Malformed`."""
    yield multiple_choice(row, "nextqa")


def multiple_choice(row: Row, source: str) -> VideoQuestion:
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
