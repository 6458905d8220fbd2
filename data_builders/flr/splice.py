"""Long videos joined from clips, with exact labels: a question about one clip needs the frames of that clip alone.

Nothing is re-encoded: frames are taken from the clips at the moments of the joined timeline.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import PurePath
from random import Random
from typing import ClassVar

import numpy as np

from videorouter.data_builders.bounds import ANY, check_bounds
from videorouter.data_builders.building.labeller import Labelled, Labeller, label_each
from videorouter.data_builders.building.plan import UNSPLIT, VideoJob
from videorouter.data_builders.flr.spans import frames_in_spans
from videorouter.data_builders.teacher.teacher import Teacher
from videorouter.data_builders.video_paths import writable_name
from videorouter.data_builders.videos import PreparedVideo, VideoFolder, prepared
from videorouter.shards.schema import FrameRelevance, LabelledQuestion, VideoQuestion
from videorouter.video.containers import EXTENSIONS
from videorouter.video.decode import frames_at, sample_frames
from videorouter.video.errors import MissingVideo
from videorouter.video.frames import SampledFrames
from videorouter.video.sampling import SAMPLERS

FPS = 10.0
"""Rate of the joined timeline, in frames a second; clips are read at its moments."""


@dataclass
class SpliceConfig:
    """How clips are joined.

    Args:
        clips_per_video: clips in one joined video
        seed: of the order of the clips
    """

    clips_per_video: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises `ValueError` for a number out of bounds."""
        check_bounds(self, {"clips_per_video": (1, ANY)})


@dataclass(frozen=True)
class PlacedClip:
    """A clip on the joined timeline, from `start` to `end` seconds."""

    clip: str
    start: float
    end: float


Timeline = tuple[PlacedClip, ...]


def clips_to_join(videos: VideoFolder, questions: Sequence[VideoQuestion]) -> list[str]:
    """The videos that questions are about, as they name them, and all other videos lying in the folder; sorted."""
    named = {question.video for question in questions}
    found = set()
    for name in named:
        with suppress(MissingVideo):  # decoding it gives the verdict
            found.add(videos.find(name))
    files = (path for path in videos.config.videos.iterdir() if path.suffix.lower() in EXTENSIONS)
    return sorted(named | {writable_name(path.name) for path in files if path not in found})


def join_clips(
    durations: Mapping[str, float], config: SpliceConfig, splits: Mapping[str, str | None] | None = None
) -> dict[str, Timeline]:
    """Shuffle clips (seconds by name) and join those of one split; timelines by name.

    Raises `ValueError` for fewer than two clips in a split.
    """
    by_split: dict[str, list[str]] = {}
    for clip in sorted(durations):
        by_split.setdefault((splits or {}).get(clip) or UNSPLIT, []).append(clip)
    timelines: list[Timeline] = []
    for split, clips in sorted(by_split.items()) or [(UNSPLIT, [])]:
        if len(clips) < 2 or config.clips_per_video < 2:
            raise ValueError(
                f"{len(clips)} readable clips of split {split}, {config.clips_per_video} a video: at least two are joined"
            )
        Random(config.seed).shuffle(clips)
        count = max(1, len(clips) // config.clips_per_video)
        timelines += [_timeline(clips[index::count], durations) for index in range(count)]
    return {f"splice-{index:05d}": timeline for index, timeline in enumerate(timelines)}


def ask_of_joined(timelines: Mapping[str, Timeline], questions: Sequence[VideoQuestion]) -> list[VideoQuestion]:
    """Each clip's questions asked of the joined video; a clip without any is asked for itself.

    Evidence spans move with their clip and are cut at its end; a question without spans needs the whole clip.
    """
    asked = []
    for name, timeline in timelines.items():
        for number, placed in enumerate(timeline):
            own = [question for question in questions if question.video == placed.clip]
            asked += [
                question.model_copy(
                    update={"id": f"{name}-{question.id}", "video": name, "evidence": _moved(question, placed)}
                )
                for question in own
            ] or [
                VideoQuestion(
                    id=f"{name}-{number}",
                    video=name,
                    question=f"Which part shows the clip {PurePath(placed.clip).stem}?",
                    task_type="clip_retrieval",
                    evidence=[(placed.start, placed.end)],
                    source="splice",
                )
            ]
    return asked


def clip_duration(videos: VideoFolder, clip: str) -> float:
    """Seconds of a clip on the joined timeline: whole frames of `FPS`. Raises `VideoError`."""
    return max(1, round(videos.decode(sample_frames, clip, 1).duration * FPS)) / FPS


class SpliceLabeller:
    """Labels joined videos: a frame is relevant when it lies in its question's spans."""

    def __init__(self, videos: VideoFolder, timelines: dict[str, Timeline]) -> None:
        self.videos = videos
        self.timelines = timelines

    def prepare(self, job: VideoJob) -> PreparedVideo:
        timeline, config = self.timelines[job.video], self.videos.config
        total = round(timeline[-1].end * FPS)
        indices = SAMPLERS[config.sampler](total, config.frames)
        seconds = [index / FPS for index in indices]
        taken = []
        for placed in timeline:
            moments = [second - placed.start for second in seconds if placed.start <= second + 1e-9 < placed.end]
            if moments:
                taken.append(self.videos.decode(frames_at, placed.clip, moments, config.frame_size).frames)
        frames = np.concatenate(taken)
        assert len(frames) == config.frames, f"{len(frames)} frames on the timeline of {job.video}, not {config.frames}"
        joined = SampledFrames(frames, indices, seconds, FPS, total, total / FPS, "splice", config.sampler)
        return prepared(job.video, joined, config.quality)

    async def label(self, video: PreparedVideo, job: VideoJob) -> Labelled:
        return await label_each(job.questions, partial(self._label, video))

    async def _label(self, video: PreparedVideo, question: VideoQuestion) -> LabelledQuestion:
        """Raises `ValueError` where the clip is too short to be sampled at all."""
        relevant = frames_in_spans([second + 1e-9 for second in video.record.seconds], question.evidence or [])
        if not any(relevant):
            raise ValueError(
                f"no sampled frame lies in the evidence of {question.id}: sample more frames or join fewer clips"
            )
        return LabelledQuestion(question=question, relevance=FrameRelevance(relevant=relevant), origin="splice")


@dataclass(frozen=True)
class SpliceRecipe:
    """Makes the labellers of `flr splice` in any process."""

    timelines: Mapping[str, Timeline]
    kinds: ClassVar[Sequence[str]] = ()

    def __call__(self, videos: VideoFolder) -> Callable[[Teacher], Labeller]:
        return lambda _: SpliceLabeller(videos, dict(self.timelines))


def _timeline(clips: Sequence[str], durations: Mapping[str, float]) -> Timeline:
    ends = np.cumsum([durations[clip] for clip in clips]).round(6).tolist()
    return tuple(PlacedClip(clip, start, end) for clip, start, end in zip(clips, [0.0, *ends], ends, strict=False))


def _moved(question: VideoQuestion, placed: PlacedClip) -> list[tuple[float, float]]:
    if not question.evidence:
        return [(placed.start, placed.end)]
    return [
        (placed.start + start, min(placed.end, placed.start + end))
        for start, end in question.evidence
        if placed.start + start < placed.end
    ]
