"""One item of a benchmark, free of the benchmark's own format."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from routers.allocation import Policy
from routers.systems import Truth


@dataclass(frozen=True)
class KnownTruth:
    """Ground truth where a benchmark has it: the policy, and evidence as spans in seconds `[start, end)`."""

    policy: Policy
    evidence: tuple[tuple[float, float], ...]

    def of_frames(self, seconds: Sequence[float]) -> Truth:
        """The truth about frames sampled at `seconds`."""
        return Truth(self.policy, tuple(any(start <= s < end for start, end in self.evidence) for s in seconds))


@dataclass(frozen=True)
class Item:
    """A multiple-choice question about a video file; `answer` is the letter; videos are the bootstrap's clusters."""

    id: str
    video: Path
    question: str
    options: tuple[str, ...]
    answer: str
    group: str
    truth: KnownTruth | None = None
