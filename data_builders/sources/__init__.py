"""Annotation formats: one file each, from their own lines to `VideoQuestion`. A broken line never stops a file."""

from collections.abc import Callable, Iterator
from pathlib import Path

from data_builders.rejects import Reject
from data_builders.sources import charades_sta, questions_jsonl, segments
from shards.schema import VideoQuestion

Converted = Iterator[VideoQuestion | Reject]
SOURCES: dict[str, Callable[[Path], Converted]] = {
    "questions_jsonl": questions_jsonl.convert,
    "charades_sta": charades_sta.convert,
    "segments": segments.convert,
}


def read_questions(path: Path, source: str) -> tuple[list[VideoQuestion], list[Reject]]:
    """All questions of an annotation file, and its lines that are none (a repeated question id among them).

    Raises `ValueError` for an unknown source or a file that is not there.
    """
    if source not in SOURCES:
        raise ValueError(f"unknown source {source!r}: there are {', '.join(SOURCES)}")
    if not path.is_file():
        raise ValueError(f"no annotation file at {path}")
    questions: dict[str, VideoQuestion] = {}
    rejects = []
    for converted in SOURCES[source](path):
        if isinstance(converted, Reject):
            rejects.append(converted)
        elif converted.id in questions:
            rejects.append(Reject(converted.id, "source", "duplicate", f"question id occurs twice in {path.name}"))
        else:
            questions[converted.id] = converted
    return list(questions.values()), rejects
