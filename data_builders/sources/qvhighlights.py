"""QVHighlights: JSONL with `qid`, `query`, `duration`, `vid` and, outside the test split, `relevant_windows` in seconds.

The windows are what a query's annotators marked as relevant, in steps of the data set's 2-second clips; `saliency_scores` (three
annotators, 0-4, of each clip inside them) are not used: they say how good a highlight a clip is, and relevant it is anyway.
`vid` is `{YouTube id}_{start}_{end}`, the name of a cut clip; windows count from the clip's start.
"""

from collections.abc import Iterator
from pathlib import Path

from videorouter.data_builders.rejects import Reject
from videorouter.data_builders.sources.evidence import Mended, Spans, checked_spans
from videorouter.data_builders.sources.rows import Row, json_lines
from videorouter.shards.schema import VideoQuestion

LICENCE = "CC-BY-NC-SA-4.0"


def rows(path: Path) -> Iterator[Row | Reject]:
    """The lines of a JSONL file."""
    return json_lines(path)


def questions(row: Row) -> Iterator[VideoQuestion | Reject | Mended]:
    """The query of a line, `task_type` moment_retrieval; without windows (the test split) it has no evidence.

    Raises `Malformed`.
    """
    name = f"qvhighlights-{row.text('qid')}"
    duration = row.seconds("duration")
    spans: Spans | None = None
    if "relevant_windows" in row.content:
        spans, mended = checked_spans(name, row.items("relevant_windows"), duration)
        yield from mended
    yield VideoQuestion(
        id=name,
        video=row.text("vid"),
        question=row.text("query"),
        task_type="moment_retrieval",
        evidence=spans,
        source="qvhighlights",
        licence=LICENCE,
    )
