"""The frames that were chosen and how finely each was shown, for any other model or server to feed (ours)."""

import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from videorouter.shards.policy import Policy
from videorouter.video.frames import SampledFrames


@dataclass(frozen=True)
class PlannedFrame:
    """One sampled frame: frame `index` of the file, shown at `second`.

    `tokens` it was given, 0 where it was dropped; `scale` divides its full tokens, `height` and `width` are those of a picture, in
    pixels, with that share of the full picture's pixels and its shape, and `side` is both where the model sees squares (all None
    where it was dropped). `score` is its relevance in 0..1 where the Image Router ran.
    """

    index: int
    second: float
    score: float | None
    tokens: int
    scale: float | None
    side: int | None
    height: int | None
    width: int | None


@dataclass(frozen=True)
class FramePlan:
    """All sampled frames of a video for one question; `fps` and `duration` (seconds) are the file's."""

    system: str
    policy: Policy | None
    fps: float
    duration: float
    frames: tuple[PlannedFrame, ...]


def frame_plan(
    system: str,
    policy: Policy | None,
    sampled: SampledFrames,
    tokens_by_frame: Sequence[int],
    relevance: Sequence[float] | None,
    tokens_per_frame: int,
    size: tuple[int, int],
) -> FramePlan:
    """The plan that `tokens_by_frame` `[T]` stands for; where a model merges frames, all members of a frame are planned alike.

    `size` is (height, width) of a frame with all its `tokens_per_frame`.
    """
    merged = -(-len(sampled.indices) // len(tokens_by_frame))
    frames = []
    for place, (index, second) in enumerate(zip(sampled.indices, sampled.seconds, strict=True)):
        tokens = tokens_by_frame[place // merged]
        share = tokens / tokens_per_frame
        height, width = (max(1, round(side * math.sqrt(share))) if tokens else None for side in size)
        frames.append(
            PlannedFrame(
                index,
                round(second, 3),
                None if relevance is None else round(relevance[place // merged], 4),
                tokens,
                round(1 / share, 3) if tokens else None,
                height if size[0] == size[1] else None,
                height,
                width,
            )
        )
    return FramePlan(system, policy, sampled.fps, sampled.duration, tuple(frames))


def append_plan(path: Path, plan: FramePlan, video: str, question: str, options: Sequence[str] | None = None) -> None:
    """Add a line of JSON to `path`, on disk when this returns."""
    row = {"video": video, "question": question, "options": list(options) if options else None, **asdict(plan)}
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
