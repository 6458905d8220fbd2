"""A build is a list of shards, each a pure function of (its videos' questions, config): the unit of work and of resume."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shards.schema import VideoQuestion
from shards.writer import shard_path

UNSPLIT = "train"


@dataclass(frozen=True)
class VideoJob:
    """One video and its questions; `key` names the sample."""

    key: str
    video: str
    questions: tuple[VideoQuestion, ...]


@dataclass(frozen=True)
class ShardJob:
    """One shard to write: its path and its videos."""

    path: Path
    videos: tuple[VideoJob, ...]

    @property
    def rejects(self) -> Path:
        """Where the shard's rejects are kept."""
        return self.path.parent / "rejects" / f"{self.path.stem}.jsonl"


def plan_shards(questions: Sequence[VideoQuestion], out: Path, videos_per_shard: int) -> list[ShardJob]:
    """Questions grouped by video in order of appearance, `videos_per_shard` to a shard, splits apart.

    Questions without a split go to `train`. Raises `ValueError` where a video stands in two splits.
    """
    by_video: dict[str, list[VideoQuestion]] = {}
    split_of: dict[str, str] = {}
    for question in questions:
        split = question.split or UNSPLIT
        if split_of.setdefault(question.video, split) != split:
            raise ValueError(
                f"video {question.video} has questions in splits {split_of[question.video]} and {split}: leakage"
            )
        by_video.setdefault(question.video, []).append(question)
    jobs = []
    for split in sorted(set(split_of.values())):
        videos = [VideoJob(sample_key(v), v, tuple(qs)) for v, qs in by_video.items() if split_of[v] == split]
        jobs += [
            ShardJob(shard_path(out, split, start // videos_per_shard), tuple(videos[start : start + videos_per_shard]))
            for start in range(0, len(videos), videos_per_shard)
        ]
    return jobs


def sample_key(video: str) -> str:
    """A readable, unique name without dots or slashes: the file's stem and a hash of the whole path."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(video).stem)[:60]
    return f"{stem}-{hashlib.sha256(video.encode()).hexdigest()[:10]}"
