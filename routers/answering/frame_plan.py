"""The frames that were chosen and how finely each was shown, for any other model or server to feed (ours)."""

from collections.abc import Sequence
from dataclasses import dataclass

from videorouter.shards.policy import Policy
from videorouter.video.frames import SampledFrames


@dataclass(frozen=True)
class PlannedFrame:
    """One sampled frame: frame `index` of the file, shown at `second`.

    `tokens` it was given, 0 where it was dropped; `scale` divides its full tokens (None where it was dropped). `score` is its
    relevance in 0..1 where the Image Router ran.
    """

    index: int
    second: float
    score: float | None
    tokens: int
    scale: float | None


@dataclass(frozen=True)
class FramePlan:
    """All sampled frames of a video for one question; `fps` and `duration` (seconds) are the file's.

    `height` and `width`, in pixels, are those at which the base sees a frame with all its tokens. Where it merges frames, `merged`
    at a time, all members of a group carry the group's tokens. How large a picture some tokens pay for depends on where it is
    sent: `videorouter.routers.answering.frame_pictures.frame_pictures`.
    """

    system: str
    policy: Policy | None
    fps: float
    duration: float
    height: int
    width: int
    merged: int
    frames: tuple[PlannedFrame, ...]

    @property
    def tokens(self) -> int:
        """Of all frames together, those of a merged group counted once."""
        return sum(frame.tokens for frame in self.frames[:: self.merged])


def frame_plan(
    system: str,
    policy: Policy | None,
    sampled: SampledFrames,
    tokens_by_frame: Sequence[int],
    relevance: Sequence[float] | None,
    tokens_per_frame: int,
    size: tuple[int, int],
    merged: int = 1,
) -> FramePlan:
    """The plan that `tokens_by_frame` `[ceil(T / merged)]` stands for; all members of a merged group are planned alike.

    `size` is (height, width) of a frame with all its `tokens_per_frame`.
    """
    frames = []
    for place, (index, second) in enumerate(zip(sampled.indices, sampled.seconds, strict=True)):
        tokens = tokens_by_frame[place // merged]
        score = None if relevance is None else round(relevance[place // merged], 4)
        scale = round(tokens_per_frame / tokens, 3) if tokens else None
        frames.append(PlannedFrame(index, round(second, 3), score, tokens, scale))
    return FramePlan(system, policy, sampled.fps, sampled.duration, *size, merged, tuple(frames))
