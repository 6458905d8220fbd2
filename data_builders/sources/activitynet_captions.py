"""ActivityNet Captions: `{VIDEO: {"duration", "timestamps": [[start, end], ...], "sentences": [...]}}`. One question a sentence.

A sentence is the query and its timestamps are its evidence, as in temporal grounding work on these captions.
"""

from collections.abc import Iterator
from pathlib import Path

from videorouter.data_builders.rejects import Reject
from videorouter.data_builders.sources.evidence import Mended, checked_spans
from videorouter.data_builders.sources.rows import Malformed, Row, json_entries
from videorouter.shards.schema import VideoQuestion

LICENCE = "MIT (annotations as distributed with 2D-TAN; ActivityNet's own terms apply)"


def rows(path: Path) -> Iterator[Row | Reject]:
    """One row a video. Raises `Malformed` where the file is no JSON object."""
    return json_entries(path)


def questions(row: Row) -> Iterator[VideoQuestion | Reject | Mended]:
    """The sentences of a video, spans clamped to its length; one with a bad span is a `Reject` and the others stay.

    Raises `Malformed`.
    """
    video = row.where.partition(":")[2]
    duration, timestamps, sentences = row.seconds("duration"), row.items("timestamps"), row.items("sentences")
    if len(timestamps) != len(sentences):
        raise Malformed(f"{len(sentences)} sentences with {len(timestamps)} timestamps")
    for number, (span, sentence) in enumerate(zip(timestamps, sentences, strict=True)):
        name = f"activitynet_captions-{video}-{number}"
        try:
            if not isinstance(sentence, str) or not sentence.strip():
                raise Malformed(f"sentence {number} is empty or no text")
            spans, mended = checked_spans(name, [span], duration)
        except Malformed as error:
            yield Reject(f"{row.where}:{number}", "source", error.verdict, str(error), f"{span} {sentence}")
            continue
        yield from mended
        yield VideoQuestion(
            id=name,
            video=video,
            question=sentence.strip(),
            task_type="temporal_grounding",
            evidence=spans,
            source="activitynet_captions",
            licence=LICENCE,
        )
