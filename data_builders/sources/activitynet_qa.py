"""ActivityNet-QA: open questions in `X_q.json`, their answers in `X_a.json` beside it, joined by `question_id`.

Questions are lists of `{video_name, question, question_id}`, answers of `{answer, type, question_id}`; `type` is 0 motion,
1 spatial relationship, 2 temporal relationship, and 3-8 free questions by their answer: yes or no, colour, object, location,
number, other. `video_name` is the YouTube id; ActivityNet's files are called `v_{video_name}`, which is what `video` says.
"""

from collections.abc import Iterator
from pathlib import Path

from videorouter.data_builders.rejects import Reject
from videorouter.data_builders.sources.evidence import Mended
from videorouter.data_builders.sources.rows import Malformed, Row, json_list
from videorouter.shards.schema import VideoQuestion

LICENCE = "Apache-2.0"
TASKS = (
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


def rows(path: Path) -> Iterator[Row | Reject]:
    """One row a question, with its entry among the answers as `answered` (null where there is none).

    Raises `Malformed` where one of the files is missing or no JSON list.
    """
    beside = path.with_name(path.name.replace("_q.json", "_a.json"))
    if beside == path or not beside.is_file():
        raise Malformed("questions are X_q.json with the answers X_a.json beside it")
    answers = {
        str(entry.content["question_id"]): entry.content
        for entry in json_list(beside)
        if isinstance(entry, Row) and isinstance(entry.content, dict) and "question_id" in entry.content
    }
    for row in json_list(path):
        if isinstance(row, Row) and isinstance(row.content, dict):
            answered = answers.get(str(row.content.get("question_id")))
            yield Row(row.where, row.number, {**row.content, "answered": answered}, row.raw)
        else:
            yield row


def questions(row: Row) -> Iterator[VideoQuestion | Reject | Mended]:
    """The question of a row with its answer, without options and evidence. Raises `Malformed`."""
    name = row.text("question_id")
    if isinstance(row.content, dict) and row.content["answered"] is None:
        raise Malformed(f"no answer to {name} in the file of answers")
    answered = Row(row.where, row.number, row.field("answered"), row.raw)
    kind = answered.field("type")
    if not isinstance(kind, int) or not 0 <= kind < len(TASKS):
        raise Malformed(f"`type` is {kind!r}, not 0 to {len(TASKS) - 1}")
    yield VideoQuestion(
        id=f"activitynet_qa-{name}",
        video=f"v_{row.text('video_name')}",
        question=row.text("question"),
        answer=answered.text("answer"),
        task_type=TASKS[kind],
        source="activitynet_qa",
        licence=LICENCE,
    )
