"""The questions of a run folder, once and for all jobs: one file of JSON lines, a shard a line in the order of the plan.

After the shards come the rows that were left out, then a table of contents, then the place of that table. A job reads the table,
and the lines of its own shards when it works on them. The hash in it is the one that folders are told apart by, so that it is
known without reading all questions.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

from pydantic import BaseModel, TypeAdapter

from videorouter.data_builders.building.plan import ShardJob, StoredVideos, VideoJob
from videorouter.data_builders.rejects import Reject
from videorouter.shards.schema import VideoQuestion
from videorouter.shards.writer import shard_path

INDEX: Final = "questions.index"
PLACE_DIGITS: Final = 20
_VIDEOS = TypeAdapter(tuple[VideoJob, ...])
_REJECTS = TypeAdapter(list[Reject])


class ShardLine(BaseModel):
    """Where a shard's line lies, in bytes, and the questions of each of its videos."""

    split: str
    number: int
    start: int
    length: int
    counts: list[int]


class Contents(BaseModel):
    """The table of contents: `made_from` tells the inputs, `hash` the questions; `left_out` is (start, length) of the rejects."""

    made_from: str
    hash: str
    licences: list[str]
    shards: list[ShardLine]
    left_out: tuple[int, int]


@dataclass(frozen=True)
class QuestionIndex:
    """An index that is open; it stays readable where another one takes its name."""

    contents: Contents
    out: Path
    file: BinaryIO

    @property
    def hash(self) -> str:
        """sha256 of all questions that may be used, in the order of their file."""
        return self.contents.hash

    @property
    def licences(self) -> list[str]:
        """Of these questions, sorted; `unstated` for those without."""
        return self.contents.licences

    @property
    def jobs(self) -> list[ShardJob]:
        """The plan, as `plan_shards` makes it of the same questions."""
        return [
            ShardJob(
                shard_path(self.out, line.split, line.number),
                StoredVideos(line.counts, partial(self._videos, line.start, line.length)),
            )
            for line in self.contents.shards
        ]

    @property
    def rejects(self) -> list[Reject]:
        """Rows that are no questions, then questions that may not be used."""
        return _REJECTS.validate_json(self._bytes(*self.contents.left_out))

    def _videos(self, start: int, length: int) -> tuple[VideoJob, ...]:
        return _VIDEOS.validate_json(self._bytes(start, length))

    def _bytes(self, start: int, length: int) -> bytes:
        return os.pread(self.file.fileno(), length, start)


def questions_hash(questions: Sequence[VideoQuestion]) -> str:
    """The hash of `QuestionIndex` for questions in memory."""
    return hashlib.sha256("".join(question.model_dump_json() for question in questions).encode()).hexdigest()


def write_contents(file: BinaryIO, contents: Contents) -> None:
    """The last two lines of an index."""
    start = file.tell()
    file.write(contents.model_dump_json().encode() + b"\n")
    file.write(f"{start:0{PLACE_DIGITS}}\n".encode())


def rejects_line(rejects: Sequence[Reject]) -> bytes:
    """The line of what was left out."""
    return json.dumps([asdict(reject) for reject in rejects]).encode() + b"\n"


def open_index(path: Path, made_from: str) -> QuestionIndex | None:
    """The index at `path`, where there is one that reads and was made from these inputs."""
    try:
        file = path.open("rb")
    except OSError:
        return None
    with suppress(OSError, ValueError):  # of another version, or damaged
        end = file.seek(-PLACE_DIGITS - 1, os.SEEK_END)
        start = int(file.read(PLACE_DIGITS))
        contents = Contents.model_validate_json(os.pread(file.fileno(), end - start, start))
        if contents.made_from == made_from:
            return QuestionIndex(contents, path.parent, file)
    file.close()
    return None
