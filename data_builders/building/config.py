"""The options of a build: what is built from what, and how it is run, which changes no label."""

from dataclasses import dataclass
from pathlib import Path

from videorouter.data_builders.bounds import ANY, check_above_zero, check_bounds
from videorouter.data_builders.building.ledger import Caps
from videorouter.data_builders.teacher.fault import VIDEOS

VIDEOS_PER_SHARD = {"videos_per_shard": (1, ANY)}
"""Its bounds, which a build without questions has, too."""


@dataclass
class BuildConfig:
    """What is built from what.

    Args:
        questions: annotation file
        out: folder of the data set
        source: its format: questions_jsonl, llava_video, nextqa, nextgqa, qvhighlights, charades_sta, activitynet_qa,
            activitynet_captions, tacos, segments or video_pairs
        videos_per_shard: samples a shard
        exclude: file with ids of videos to leave out, one a line, or a benchmark's own rows (JSON, JSONL, CSV, parquet)
        near_duplicates: questions about one video whose words overlap by this share (0-1) are asked once; null keeps all
    """

    questions: Path
    out: Path
    source: str = "questions_jsonl"
    videos_per_shard: int = 8
    exclude: Path | None = None
    near_duplicates: float | None = None

    def __post_init__(self) -> None:
        """Raises `ValueError` for a number out of bounds."""
        check_bounds(self, VIDEOS_PER_SHARD)


@dataclass
class RunConfig(Caps):
    """How a build is run. Every option may differ between two runs into one folder.

    Args:
        executor: local, or ray (one task a shard)
        workers: processes of the local executor, or concurrent tasks of ray
        ray_address: of a running ray cluster; without it ray starts on this machine
        shard_range: `FIRST:END` of the planned shards, for schedulers; caps count for the run folder, over all runs in it
        dry_run: label this many videos only, spread evenly, and estimate the rest; their answers are kept
        tokens_per_second: of one GPU of the teacher, in and out, from which a dry run says GPU-hours
        new_run: put the results of a folder begun with another configuration aside, and start over in it
        retry_failed: build finished shards again that put items aside for what may be gone now (missing, timeout, ...)
        retry_refused: build finished shards again that put items aside because the endpoint refused or filtered them
        retry_invalid: ... because replies were invalid or cut off
        refused_in_a_row: videos refused alike, one after another, at which the run stops; 0: it never does
        tolerate: share of failed items (0-1) up to which the exit code is still 0
    """

    executor: str = "local"
    workers: int = 1
    ray_address: str | None = None
    shard_range: str | None = None
    dry_run: int = 0
    tokens_per_second: float | None = None
    new_run: bool = False
    retry_failed: bool = False
    retry_refused: bool = False
    retry_invalid: bool = False
    refused_in_a_row: int = VIDEOS
    tolerate: float = 0.0

    def __post_init__(self) -> None:
        if self.executor not in ("local", "ray"):
            raise ValueError(f"unknown executor {self.executor!r}: there are local and ray")
        bounds = dict.fromkeys(("dry_run", "refused_in_a_row", "max_usd", "max_tokens"), (0, ANY))
        check_bounds(self, {**bounds, "workers": (1, ANY), "tolerate": (0, 1)})
        check_above_zero(self, "tokens_per_second")
        self.slice_of(0)

    def slice_of(self, shards: int) -> range:
        """The shards, of this many planned, that this run builds. Raises `ValueError` for a malformed range."""
        if self.shard_range is None:
            return range(shards)
        first, colon, end = self.shard_range.partition(":")
        if not colon or not (first or "0").isdigit() or not (end or "0").isdigit():
            raise ValueError(f"shard_range must be FIRST:END, such as 0:100, not {self.shard_range!r}")
        if end and int(end) < int(first or 0):
            raise ValueError(f"shard_range {self.shard_range!r} ends before it begins")
        return range(shards)[int(first or 0) : int(end) if end else None]
