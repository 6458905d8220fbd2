"""One item of a benchmark, free of the benchmark's own format."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from videorouter.routers.systems.query import Truth
from videorouter.shards.policy import Policy


@dataclass(frozen=True)
class KnownTruth:
    """Ground truth where a benchmark has it: the policy, and evidence as spans in seconds `[start, end)`."""

    policy: Policy
    evidence: tuple[tuple[float, float], ...]

    def of_frames(self, seconds: Sequence[float]) -> Truth:
        """The truth about frames sampled at `seconds`."""
        return Truth(self.policy, tuple(any(start <= s < end for start, end in self.evidence) for s in seconds))


@dataclass(frozen=True)
class Subtitles:
    """A subtitle file; its times count from `starts` seconds before the video's first frame."""

    path: Path
    starts: float = 0.0


@dataclass(frozen=True)
class Item:
    """A multiple-choice question about a video file; `answer` is the letter; videos are the bootstrap's clusters.

    `groups` are the benchmark's own dimensions, the one that its main table is split by first. `evidence_spans` (in seconds) and
    `evidence_frames` (of the file) are what a benchmark marks as evidence without saying that nothing else is.
    """

    id: str
    video: Path
    question: str
    options: tuple[str, ...]
    answer: str
    groups: Mapping[str, str]
    truth: KnownTruth | None = None
    evidence_spans: tuple[tuple[float, float], ...] = ()
    evidence_frames: tuple[int, ...] = ()
    subtitles: Subtitles | None = None

    @property
    def group(self) -> str:
        """Of the first dimension."""
        return next(iter(self.groups.values()))
