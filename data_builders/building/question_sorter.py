"""Writes the index of questions with little memory: questions wait in a file beside it, numbers alone are in memory."""

import hashlib
import json
import os
import tempfile
from array import array
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from videorouter.data_builders.building.config import BuildConfig
from videorouter.data_builders.building.plan import UNSPLIT, in_shards, one_split, sample_key
from videorouter.data_builders.building.question_index import Contents, ShardLine, rejects_line, write_contents
from videorouter.data_builders.rejects import Reject
from videorouter.data_builders.sources.conversion import convert, no_question
from videorouter.data_builders.sources.decontamination import decontaminate
from videorouter.shards.schema import VideoQuestion

AT_ONCE = 20_000
"""Questions in memory, or as many as one video has where that is more."""


def write_index(path: Path, made_from: str, config: BuildConfig) -> None:
    """Write the index of what `config` names, whole or not at all; by one process at a time.

    Raises `ValueError` as `questions_to_label` and `decontaminate`, and where a video is in two splits.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    console = Console(markup=False, stderr=True)
    try:
        with _Waiting(path.parent) as waiting, console.status(f"indexing the questions of {config.questions}"):
            rejects = convert(config.questions, config.source, waiting.add).rejects
            if not waiting.count:
                raise no_question(config.questions, config.source, rejects)
            rejects += waiting.drop(config.exclude, config.near_duplicates)
            _write(unfinished, made_from, waiting, rejects, config.videos_per_shard)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _write(path: Path, made_from: str, waiting: "_Waiting", rejects: Sequence[Reject], videos_per_shard: int) -> None:
    splits, digest = waiting.splits_and_hash()
    shards = []
    with path.open("wb") as file:
        for split, number, videos in in_shards(splits, videos_per_shard):
            lines = [waiting.lines_of(video) for video in videos]
            line = b"[%s]\n" % b",".join(map(_video, videos, [split] * len(videos), lines))
            start, length = file.tell(), file.write(line)
            shards.append(ShardLine.model_construct(
                split=split, number=number, start=start, length=length, counts=[*map(len, lines)],
            ))  # fmt: skip
        start = file.tell()
        left_out = start, file.write(rejects_line(rejects))
        write_contents(
            file,
            Contents(made_from=made_from, hash=digest, licences=waiting.licences(), shards=shards, left_out=left_out),
        )
        file.flush()
        os.fsync(file.fileno())


def _video(video: str, split: str, lines: Sequence[bytes]) -> bytes:
    """A video of a shard's line: a `VideoJob` around the questions as they are written already."""
    about = json.dumps({"key": sample_key(video), "video": video, "split": split}).encode()
    return about[:-1] + b', "questions": [' + b",".join(lines) + b"]}"


class _Waiting:
    """The questions of a file in their order, each a line of a file without a name; which are dropped; those of each video."""

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by __exit__
        self._ends = array("q", [0])
        self._video_of = array("q")
        self._videos: dict[str, int] = {}
        self._said = _Numbered()
        self._said_of = array("q")
        self._kept: NDArray[np.bool_] = np.empty(0, bool)
        self._by_video: NDArray[np.int64] = np.empty(0, np.int64)
        self._starts: NDArray[np.int64] = np.empty(0, np.int64)

    def __enter__(self) -> "_Waiting":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def count(self) -> int:
        """Questions so far."""
        return len(self._video_of)

    def add(self, question: VideoQuestion) -> None:
        """One more."""
        line = question.model_dump_json().encode()
        self._file.write(line)
        self._ends.append(self._ends[-1] + len(line))
        self._video_of.append(self._videos.setdefault(question.video, len(self._videos)))
        self._said_of.append(self._said.number(question.split or UNSPLIT, question.licence or "unstated"))

    def drop(self, excluded: Path | None, threshold: float | None) -> list[Reject]:
        """Drop what `decontaminate` would of all questions; it decides about each video by itself."""
        self._file.flush()
        self._kept = np.ones(self.count, bool)
        self._by_video = np.argsort(np.asarray(self._video_of), kind="stable")
        self._starts = np.searchsorted(np.asarray(self._video_of)[self._by_video], np.arange(len(self._videos) + 1))
        found: dict[int, Reject] = {}
        if excluded is not None or threshold is not None:
            for places in self._whole_videos():
                questions = {place: VideoQuestion.model_validate_json(self._line(place)) for place in places}
                by_id = {question.id: place for place, question in questions.items()}
                _, rejects = decontaminate(list(questions.values()), excluded, threshold)
                found |= {by_id[reject.item]: reject for reject in rejects}
        self._kept[list(found)] = False
        return [found[place] for place in sorted(found)]

    def splits_and_hash(self) -> tuple[dict[str, str], str]:
        """The split of every video that keeps a question, in their order, and the hash of `QuestionIndex`."""
        names, splits, digest = list(self._videos), dict[str, str](), hashlib.sha256()
        for place in map(int, np.flatnonzero(self._kept)):
            one_split(splits, names[self._video_of[place]], self._said.pairs[self._said_of[place]][0])
            digest.update(self._line(place))
        return splits, digest.hexdigest()

    def licences(self) -> list[str]:
        """Of the questions kept, sorted."""
        said = np.unique(np.asarray(self._said_of)[self._kept])
        return sorted({self._said.pairs[number][1] for number in said})

    def lines_of(self, video: str) -> list[bytes]:
        """The lines of a video's questions that are kept."""
        number = self._videos[video]
        places = self._by_video[self._starts[number] : self._starts[number + 1]]
        return [self._line(int(place)) for place in places if self._kept[place]]

    def _whole_videos(self) -> Iterator[list[int]]:
        """The places of the questions of some videos at a time, in order."""
        cuts = [0]
        for end in map(int, self._starts[1:]):
            if end - cuts[-1] >= AT_ONCE or end == self.count:
                cuts.append(end)
        return (sorted(map(int, self._by_video[first:end])) for first, end in pairwise(cuts))

    def _line(self, place: int) -> bytes:
        return os.pread(self._file.fileno(), self._ends[place + 1] - self._ends[place], self._ends[place])


class _Numbered:
    """Numbers for pairs of split and licence, of which a file has few."""

    def __init__(self) -> None:
        self.pairs: list[tuple[str, str]] = []
        self._numbers: dict[tuple[str, str], int] = {}

    def number(self, split: str, licence: str) -> int:
        """The number of a pair, the next one where it is new."""
        if (split, licence) not in self._numbers:
            self._numbers[split, licence] = len(self.pairs)
            self.pairs.append((split, licence))
        return self._numbers[split, licence]
