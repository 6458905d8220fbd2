"""Charades-STA: a sentence is the query, its span the evidence. As released (text) or with lengths (JSONL).

The text has lines `VIDEO START END##sentence` and no lengths. The JSONL of moment retrieval code has `qid`, `query`,
`duration`, `vid`, `relevant_windows`, which are clamped to `duration`. Which of the two is told by the first character.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from videorouter.data_builders.rejects import Reject
from videorouter.data_builders.sources.evidence import Mended, checked_spans
from videorouter.data_builders.sources.rows import Malformed, Row, json_lines, text_rows
from videorouter.shards.schema import VideoQuestion

LICENCE = "Charades licence (non-commercial research)"
_LINE = re.compile(r"^(\S+) (\S+) (\S+)##(.+)$")


def rows(path: Path) -> Iterator[Row | Reject]:
    """Lines of either form."""
    with path.open("rb") as file:
        first = next((line.lstrip()[:1] for line in file if line.strip()), b"")
    return json_lines(path) if first == b"{" else text_rows(path)


def questions(row: Row) -> Iterator[VideoQuestion | Reject | Mended]:
    """One question a line, `task_type` temporal_grounding. Raises `Malformed`."""
    duration = None
    if isinstance(row.content, str):
        match = _LINE.match(row.content)
        if not match:
            raise Malformed("not of the form `VIDEO START END##sentence`")
        video, sentence, windows = match[1], match[4].strip(), [_span(match[2], match[3])]
        name = f"charades-{video}-{row.number}"
    else:
        video, sentence, duration = row.text("vid"), row.text("query"), row.seconds("duration")
        windows = row.items("relevant_windows")
        name = f"charades-{video}-q{row.text('qid')}"
    spans, mended = checked_spans(name, windows, duration)
    yield from mended
    yield VideoQuestion(
        id=name,
        video=video,
        question=sentence,
        task_type="temporal_grounding",
        evidence=spans,
        source="charades_sta",
        licence=LICENCE,
    )


def _span(start: str, end: str) -> tuple[float, float]:
    try:
        return float(start), float(end)
    except ValueError as error:
        raise Malformed("start and end are not numbers") from error
