"""ActivityNet-QA and ActivityNet Captions: one question an entry, or one a described moment."""

from collections.abc import Iterator
from pathlib import Path

from videorouter.data_builders.rejects import Reject
from videorouter.data_builders.sources.files import json_list
from videorouter.data_builders.sources.moments import described_moments
from videorouter.data_builders.sources.rows import Converted, Malformed, Row
from videorouter.shards.schema import VideoQuestion

QA_LICENCE = "Apache-2.0"
CAPTIONS_LICENCE = "MIT (annotations as distributed with 2D-TAN; ActivityNet's own terms apply)"
QA_TASKS = (
    "motion",
    "spatial_relationship",
    "temporal_relationship",
    "yes_no",
    "colour",
    "object",
    "location",
    "number",
    "other",
)


def beside(path: Path) -> tuple[Path]:
    """The file of answers that belongs to `X_q.json`."""
    return (path.with_name(path.name.replace("_q.json", "_a.json")),)


def qa_rows(path: Path) -> Iterator[Row | Reject]:
    """One row a question of `X_q.json`, with its entry in `X_a.json` beside it as `answered` (null where there is none).

    Questions are lists of `{video_name, question, question_id}`, answers of `{answer, type, question_id}`; `type` is 0 motion,
    1 spatial relationship, 2 temporal relationship, and 3-8 free questions by their answer: yes or no, colour, object,
    location, number, other. Raises `Malformed` where one of the files is missing or no JSON list.
    """
    (answers_file,) = beside(path)
    if answers_file == path or not answers_file.is_file():
        raise Malformed("questions are X_q.json with the answers X_a.json beside it")
    answers = {
        str(entry.content["question_id"]): entry.content
        for entry in json_list(answers_file)
        if isinstance(entry, Row) and isinstance(entry.content, dict) and "question_id" in entry.content
    }
    for row in json_list(path):
        if isinstance(row, Row) and isinstance(row.content, dict):
            answered = answers.get(str(row.content.get("question_id")))
            yield Row(row.where, row.number, {**row.content, "answered": answered}, row.raw)
        else:
            yield row


def qa_questions(row: Row) -> Iterator[Converted]:
    """The question of a row with its answer, without options and evidence. Raises `Malformed`.

    `video_name` is the YouTube id; ActivityNet's files are called `v_{video_name}`, which is what `video` says.
    """
    name = row.text("question_id")
    if isinstance(row.content, dict) and row.content["answered"] is None:
        raise Malformed(f"no answer to {name} in the file of answers")
    answered = Row(row.where, row.number, row.field("answered"), row.raw)
    kind = answered.field("type")
    if not isinstance(kind, int) or not 0 <= kind < len(QA_TASKS):
        raise Malformed(f"`type` is {kind!r}, not 0 to {len(QA_TASKS) - 1}")
    yield VideoQuestion(
        id=f"activitynet_qa-{name}",
        video=f"v_{row.text('video_name')}",
        question=row.text("question"),
        answer=answered.text("answer"),
        task_type=QA_TASKS[kind],
        source="activitynet_qa",
        licence=QA_LICENCE,
    )


def caption_questions(row: Row) -> Iterator[Converted]:
    """The sentences of an entry `{VIDEO: {"duration", "timestamps": [[start, end], ...], "sentences": [...]}}`, in seconds.

    Raises `Malformed`.
    """
    video = row.where.partition(":")[2]
    yield from described_moments(row, video, row.seconds("duration"), "activitynet_captions", CAPTIONS_LICENCE)
