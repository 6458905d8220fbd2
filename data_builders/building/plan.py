"""The plan of a build: its videos, grouped into shards. A shard is a pure function of (its videos' questions, config): the unit of
work and of resume.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

from pydantic import BaseModel, Field

from videorouter.data_builders.rejects import Reject, write_rejects
from videorouter.data_builders.sources.encoding import utf8_lines
from videorouter.data_builders.video_paths import writable_name
from videorouter.shards.schema import Split, VideoQuestion
from videorouter.shards.writer import is_finished, shard_path, write_atomically
from videorouter.video.containers import EXTENSIONS

UNSPLIT = "train"
"""The split of questions and videos that name none."""


@dataclass(frozen=True)
class VideoJob:
    """One video and its questions; `key` names the sample."""

    key: str
    video: str
    questions: tuple[VideoQuestion, ...]
    split: str = UNSPLIT


class StoredVideos(Sequence[VideoJob]):
    """The videos of a shard, read each time they are asked for, so that a plan of millions of questions is small.

    `counts` is known without reading: the questions of each video. Another process is sent the videos themselves.
    """

    def __init__(self, counts: Sequence[int], read: Callable[[], Sequence[VideoJob]]) -> None:
        self.counts = counts
        self._read = read

    def __len__(self) -> int:
        return len(self.counts)

    @overload
    def __getitem__(self, place: int) -> VideoJob: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[VideoJob]: ...

    def __getitem__(self, place: int | slice) -> VideoJob | Sequence[VideoJob]:
        return self._read()[place]

    def __iter__(self) -> Iterator[VideoJob]:
        return iter(self._read())

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (list(self),)


@dataclass(frozen=True)
class ShardJob:
    """One shard to write: its path, which tells it from others, and its videos."""

    path: Path
    videos: Sequence[VideoJob] = field(compare=False)

    @property
    def counts(self) -> Sequence[int]:
        """The questions of each video."""
        stored = self.videos
        return stored.counts if isinstance(stored, StoredVideos) else [len(video.questions) for video in stored]

    @property
    def rejects(self) -> Path:
        """Where the shard's rejects are kept."""
        return self.path.parent / "rejects" / f"{self.path.stem}.jsonl"

    @property
    def nothing(self) -> Path:
        """Marks, once all else is written, a shard of which nothing was labelled."""
        return self.rejects.with_suffix(".nothing")

    @property
    def done(self) -> bool:
        """Whether the shard was worked on to its end: it is finished, or all of its items were put aside."""
        return is_finished(self.path) or self.nothing.is_file()

    def reset(self) -> None:
        """Remove what it came to, so that it is built again; answers already paid are kept elsewhere."""
        self.path.unlink(missing_ok=True)  # first: a sidecar alone is an unfinished shard
        self.path.with_suffix(".json").unlink(missing_ok=True)
        self.nothing.unlink(missing_ok=True)
        self.rejects.unlink(missing_ok=True)

    def keep_rejects(self, rejects: Sequence[Reject]) -> None:
        """Write what was put aside. Comes before the shard: a kill between the two leaves it undone."""
        if rejects:
            self.rejects.parent.mkdir(parents=True, exist_ok=True)
            write_rejects(self.rejects, rejects)

    def mark_nothing(self) -> None:
        """Say that nothing was labelled; comes last."""
        self.nothing.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.nothing, "")


def plan_shards(questions: Sequence[VideoQuestion], out: Path, videos_per_shard: int) -> list[ShardJob]:
    """Questions grouped by video in order of appearance, `videos_per_shard` to a shard, splits apart.

    Questions without a split go to `train`. Raises `ValueError` where a video is in two splits.
    """
    by_video: dict[str, list[VideoQuestion]] = {}
    splits: dict[str, str] = {}
    for question in questions:
        one_split(splits, question.video, question.split or UNSPLIT)
        by_video.setdefault(question.video, []).append(question)
    return plan_videos(splits, out, videos_per_shard, by_video)


def plan_videos(
    splits: Mapping[str, str],
    out: Path,
    videos_per_shard: int,
    questions: Mapping[str, Sequence[VideoQuestion]] | None = None,
) -> list[ShardJob]:
    """Videos (split by name) in their order, `videos_per_shard` to a shard, splits apart; their questions, if there are any."""
    asked = questions or {}
    return [
        ShardJob(
            shard_path(out, split, number),
            tuple(VideoJob(sample_key(video), video, tuple(asked.get(video, ())), split) for video in videos),
        )
        for split, number, videos in in_shards(splits, videos_per_shard)
    ]


def in_shards(splits: Mapping[str, str], videos_per_shard: int) -> Iterator[tuple[str, int, list[str]]]:
    """Split, number within it and videos of every shard, for the split of each video by name."""
    by_split: dict[str, list[str]] = {}
    for video, split in splits.items():
        by_split.setdefault(split, []).append(video)
    for split, videos in sorted(by_split.items()):
        for number, start in enumerate(range(0, len(videos), videos_per_shard)):
            yield split, number, videos[start : start + videos_per_shard]


def one_split(splits: dict[str, str], video: str, split: str) -> None:
    """Note the split of a video. Raises `ValueError` where it is in another one already."""
    if splits.setdefault(video, split) != split:
        raise ValueError(f"video {video} has questions in splits {splits[video]} and {split}: leakage")


def list_videos(listed: Path | None, folder: Path) -> tuple[dict[str, str], list[Reject]]:
    """Split by video, in order, and the lines or files that name none.

    `listed` has a line a video: a path relative to `folder`, or a JSON object with `video` and perhaps `split`. Without it all
    files of `folder`, at any depth, that end like videos are taken. Raises `ValueError` where there is no video at all, and where
    the list is no UTF-8.
    """
    splits, rejects = _videos_below(folder) if listed is None else _listed_videos(listed)
    if not splits:
        raise ValueError(
            f"no video in {listed or folder}: give --video_list, or videos ending in {', '.join(EXTENSIONS)}"
        )
    return splits, rejects


def _videos_below(folder: Path) -> tuple[dict[str, str], list[Reject]]:
    splits: dict[str, str] = {}
    rejects: list[Reject] = []

    def unread(error: OSError) -> None:
        where = writable_name(os.path.relpath(error.filename, folder))
        rejects.append(Reject(where, "source", "missing", f"this folder cannot be read: {error.strerror}"))

    names = [Path(root, name) for root, _, files in os.walk(folder, onerror=unread) for name in files]
    for path in sorted(path for path in names if path.suffix.lower() in EXTENSIONS):
        name = path.relative_to(folder).as_posix()
        if (told := writable_name(name)) == name:
            splits[name] = UNSPLIT
        else:
            rejects.append(Reject(told, "source", "malformed", "its name is not UTF-8: rename it"))
    return splits, rejects


def _listed_videos(listed: Path) -> tuple[dict[str, str], list[Reject]]:
    splits: dict[str, str] = {}
    rejects: list[Reject] = []
    for number, line in utf8_lines(listed):
        try:
            text = line.decode().strip()
            row = _Listed.model_validate(json.loads(text) if text.startswith("{") else {"video": text})
        except (ValueError, RecursionError) as error:
            raw = line.decode(errors="replace")[:2000]
            problem = str(error).encode(errors="backslashreplace").decode()
            rejects.append(Reject(f"{listed.name}:{number}", "source", "malformed", problem, raw))
            continue
        split = row.split or UNSPLIT
        if splits.setdefault(row.video, split) != split:
            raise ValueError(
                f"{listed}:{number}: video {row.video} is in splits {splits[row.video]} and {split}: leakage"
            )
    return splits, rejects


def sample_key(video: str) -> str:
    """A readable, unique name without dots or slashes: the file's stem and a hash of the whole path."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(video).stem)[:60]
    return f"{stem}-{hashlib.sha256(video.encode()).hexdigest()[:10]}"


class _Listed(BaseModel):
    """A line of a JSONL list; other fields are ignored, so that a file of questions is a list, too."""

    video: str = Field(min_length=1)  # which also refuses halves of characters
    split: Split | None = None
