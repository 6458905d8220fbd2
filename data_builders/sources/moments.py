"""Videos described sentence by sentence: each sentence is a question, and the moment that it describes its evidence."""

from collections.abc import Iterator
from typing import Any

from videorouter.data_builders.rejects import Reject
from videorouter.data_builders.sources.rows import Converted, Malformed, Row, checked_spans
from videorouter.shards.schema import VideoQuestion


def described_moments(
    row: Row, video: str, duration: float, source: str, licence: str, rate: float = 1.0
) -> Iterator[Converted]:
    """The `sentences` of an entry with their `timestamps` `[start, end]`, of which `rate` make a second.

    Spans are clamped to the `duration` in seconds, as in temporal grounding work on such descriptions; a sentence with a bad
    span is a `Reject` and the others stay. Raises `Malformed` where the two lists do not fit each other.
    """
    timestamps, sentences = row.items("timestamps"), row.items("sentences")
    if len(timestamps) != len(sentences):
        raise Malformed(f"{len(sentences)} sentences with {len(timestamps)} timestamps")
    for number, (span, sentence) in enumerate(zip(timestamps, sentences, strict=True)):
        name = f"{source}-{video}-{number}"
        try:
            if not isinstance(sentence, str) or not sentence.strip():
                raise Malformed(f"sentence {number} is empty or no text")
            spans, fixes = checked_spans(name, [_in_seconds(span, rate)], duration)
        except Malformed as error:
            yield Reject(f"{row.where}:{number}", "source", error.verdict, str(error), f"{span} {sentence}")
            continue
        yield from fixes
        yield VideoQuestion(
            id=name,
            video=video,
            question=sentence.strip(),
            task_type="temporal_grounding",
            evidence=spans,
            source=source,
            licence=licence,
        )


def _in_seconds(span: Any, rate: float) -> Any:
    """A span of numbers in seconds; anything else as it is, to be refused with the others."""
    if rate == 1.0 or not isinstance(span, list) or not all(type(value) in (int, float) for value in span):
        return span
    try:
        return [value / rate for value in span]
    except OverflowError:
        return span
