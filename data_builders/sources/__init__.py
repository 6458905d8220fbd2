"""Annotation formats: one file each, from their own rows to `VideoQuestion`. A broken row never stops a file.

A format is a module with `rows(path)`, the rows of a file as they stand there, and `questions(row)`, what one of them asks.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from videorouter.data_builders.rejects import Reject
from videorouter.data_builders.sources import (
    activitynet_captions,
    activitynet_qa,
    charades_sta,
    llava_video,
    nextgqa,
    nextqa,
    questions_jsonl,
    qvhighlights,
    segments,
    video_pairs,
)
from videorouter.data_builders.sources.evidence import Mended
from videorouter.data_builders.sources.rows import LONGEST_RAW, Malformed, Row
from videorouter.shards.schema import VideoQuestion


class Source(Protocol):
    """One annotation format."""

    def rows(self, path: Path, /) -> Iterator[Row | Reject]:
        """The rows of a file, unreadable ones as `Reject`s. Raises `Malformed` where the file is no such file."""
        ...

    def questions(self, row: Row, /) -> Iterator[VideoQuestion | Reject | Mended]:
        """The questions of a row. Raises `Malformed` or pydantic's `ValidationError` where it holds none."""
        ...


SOURCES: dict[str, Source] = {
    "questions_jsonl": questions_jsonl,
    "llava_video": llava_video,
    "nextqa": nextqa,
    "nextgqa": nextgqa,
    "qvhighlights": qvhighlights,
    "charades_sta": charades_sta,
    "activitynet_qa": activitynet_qa,
    "activitynet_captions": activitynet_captions,
    "segments": segments,
    "video_pairs": video_pairs,
}


@dataclass
class Conversion:
    """What became of a file's `rows`: questions (several a row in some formats), rejects, and spans that were mended."""

    path: Path
    source: str
    rows: int = 0
    questions: list[VideoQuestion] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    mended: list[Mended] = field(default_factory=list)

    @property
    def clamped(self) -> int:
        """Spans that were cut to the length of their video."""
        return sum(mended.how == "clamped" for mended in self.mended)

    @property
    def dropped(self) -> int:
        """Spans left out of questions that keep others; where none is left the question is a reject, `bad_span`."""
        return sum(mended.how == "dropped" for mended in self.mended)


def convert(path: Path, source: str) -> Conversion:
    """All questions of an annotation file, in order, and what there is to say about the rest of it.

    A question id that occurs twice is kept once. Raises `ValueError` for an unknown source or a file that is not there.
    """
    if source not in SOURCES:
        raise ValueError(f"unknown source {source!r}: there are {', '.join(SOURCES)}")
    if not path.is_file():
        raise ValueError(f"no annotation file at {path}")
    done = Conversion(path, source)
    seen: set[str] = set()
    try:
        for row in SOURCES[source].rows(path):
            done.rows += 1
            for item in _of_row(SOURCES[source], row):
                if isinstance(item, Mended):
                    done.mended.append(item)
                elif isinstance(item, Reject):
                    done.rejects.append(item)
                elif item.id in seen:
                    problem = f"question id occurs twice in {path.name}"
                    done.rejects.append(Reject(item.id, "source", "duplicate", problem))
                else:
                    seen.add(item.id)
                    done.questions.append(item)
    except Malformed as error:
        done.rejects.append(Reject(path.name, "source", error.verdict, str(error)))
    return done


def read_questions(path: Path, source: str) -> tuple[list[VideoQuestion], list[Reject]]:
    """The questions and the rejects of `convert`. Raises as it does."""
    done = convert(path, source)
    return done.questions, done.rejects


def _of_row(source: Source, row: Row | Reject) -> Iterator[VideoQuestion | Reject | Mended]:
    if isinstance(row, Reject):
        yield row
        return
    try:
        yield from source.questions(row)
    except ValidationError as error:
        yield Reject(row.where, "source", "malformed", _problems(error), row.raw[:LONGEST_RAW])
    except Malformed as error:
        yield Reject(row.where, "source", error.verdict, str(error), row.raw[:LONGEST_RAW])


def _problems(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'row'}: {e['msg']}" for e in error.errors(include_url=False))
