"""Charades-STA and QVHighlights: a sentence is the query, the windows of the video that show it are its evidence."""

import re
from collections.abc import Iterator
from pathlib import Path

from videorouter.data_builders.rejects import Reject
from videorouter.data_builders.sources.files import first_byte, json_lines, text_rows
from videorouter.data_builders.sources.rows import Converted, Malformed, Row, Spans, checked_spans
from videorouter.shards.schema import VideoQuestion

CHARADES_LICENCE = "Charades licence (non-commercial research)"
QVHIGHLIGHTS_LICENCE = "CC-BY-NC-SA-4.0"
_CHARADES_LINE = re.compile(r"^(\S+) (\S+) (\S+)##(.+)$")


def charades_rows(path: Path) -> Iterator[Row | Reject]:
    """Lines of Charades-STA as released (text) or with lengths (JSONL); the first character tells which of the two."""
    return json_lines(path) if first_byte(path) == b"{" else text_rows(path)


def charades_questions(row: Row) -> Iterator[Converted]:
    """One question a line, `task_type` temporal_grounding. Raises `Malformed`.

    The text has lines `VIDEO START END##sentence` and no lengths. The JSONL of moment retrieval code has `qid`, `query`,
    `duration`, `vid`, `relevant_windows`, which are clamped to `duration`.
    """
    duration = None
    if isinstance(row.content, str):
        match = _CHARADES_LINE.match(row.content)
        if not match:
            raise Malformed("not of the form `VIDEO START END##sentence`")
        video, sentence, windows = match[1], match[4].strip(), [_span(match[2], match[3])]
        name = f"charades-{video}-{row.number}"
    else:
        video, sentence, duration = row.text("vid"), row.text("query"), row.seconds("duration")
        windows = row.items("relevant_windows")
        name = f"charades-{video}-q{row.text('qid')}"
    spans, fixes = checked_spans(name, windows, duration)
    yield from fixes
    yield VideoQuestion(
        id=name,
        video=video,
        question=sentence,
        task_type="temporal_grounding",
        evidence=spans,
        source="charades_sta",
        licence=CHARADES_LICENCE,
    )


def qvhighlights_questions(row: Row) -> Iterator[Converted]:
    """The query of a JSON line with `qid`, `query`, `duration`, `vid` and, outside the test split, `relevant_windows`.

    The windows (seconds) are what a query's annotators marked as relevant, in steps of the data set's 2-second clips;
    `saliency_scores` (three annotators, 0-4, of each clip inside them) are not used: they say how good a highlight a clip is,
    and relevant it is anyway. `vid` is `{YouTube id}_{start}_{end}`, the name of a cut clip; windows count from the clip's
    start. `task_type` is moment_retrieval; without windows there is no evidence. Raises `Malformed`.
    """
    name = f"qvhighlights-{row.text('qid')}"
    duration = row.seconds("duration")
    spans: Spans | None = None
    if "relevant_windows" in row.content:
        spans, fixes = checked_spans(name, row.items("relevant_windows"), duration)
        yield from fixes
    yield VideoQuestion(
        id=name,
        video=row.text("vid"),
        question=row.text("query"),
        task_type="moment_retrieval",
        evidence=spans,
        source="qvhighlights",
        licence=QVHIGHLIGHTS_LICENCE,
    )


def _span(start: str, end: str) -> tuple[float, float]:
    try:
        return float(start), float(end)
    except ValueError as error:
        raise Malformed("start and end are not numbers") from error
