"""Frame relevance from a teacher that scores frames 0-100, a window of frames at a time (prompts and threshold ours).

Frames around a change of relevance can be scored a second time, centred on it, and a question can be asked without its
relevant frames, to see that they are needed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from videorouter.data_builders.bounds import ANY, check_bounds
from videorouter.data_builders.building.labeller import Labelled, Labeller, label_each
from videorouter.data_builders.building.plan import VideoJob
from videorouter.data_builders.flr.filters import NECESSITY_PROMPTS, check_marked_frames
from videorouter.data_builders.teacher.concurrency import all_answered
from videorouter.data_builders.teacher.replies import FrameScores
from videorouter.data_builders.teacher.request import load_prompt, options_block
from videorouter.data_builders.teacher.teacher import Teacher
from videorouter.data_builders.videos import PreparedVideo, VideoFolder
from videorouter.shards.schema import FrameRelevance, LabelledQuestion, VideoQuestion

SCORES = load_prompt("frame_scores")


@dataclass
class ScoringConfig:
    """How the teacher scores.

    Args:
        window: frames a request
        threshold: a frame is relevant from this score on
        boundary: frames on each side of a change of relevance that are scored again, around it; 0: none
    """

    window: int = 32
    threshold: int = 50
    boundary: int = 0

    def __post_init__(self) -> None:
        """Raises `ValueError` for numbers out of bounds."""
        check_bounds(self, {"window": (1, ANY), "threshold": (0, 100), "boundary": (0, ANY)})


@dataclass
class AnnotateConfig(ScoringConfig):
    """How existing questions are labelled.

    Args:
        necessity: put questions aside that the teacher answers right without the relevant frames
    """

    necessity: bool = False


class TeacherLabeller:
    """Asks the teacher about every window of a video's frames for every question."""

    def __init__(self, videos: VideoFolder, teacher: Teacher, config: ScoringConfig, necessity: bool = False) -> None:
        self.videos = videos
        self.teacher = teacher
        self.config = config
        self.necessity = necessity

    def prepare(self, job: VideoJob) -> PreparedVideo:
        return self.videos.prepare(job.video)

    async def label(self, video: PreparedVideo, job: VideoJob) -> Labelled:
        return await label_each(job.questions, partial(self._label, video))

    async def _label(self, video: PreparedVideo, question: VideoQuestion) -> LabelledQuestion:
        windows = await self._score(video, question)
        scores = _latest(windows)
        relevant = self._relevant(scores)
        if self.necessity:
            await check_marked_frames(self.teacher, video, question, relevant)
        return LabelledQuestion(
            question=question,
            relevance=FrameRelevance(relevant=relevant, scores=scores),
            origin="teacher",
            teacher=self.teacher.config.model,
            prompt_hash=SCORES.hash,
            reason=_reason(windows, relevant),
        )

    async def score(self, video: PreparedVideo, question: VideoQuestion) -> list[int]:
        """One score 0-100 per frame; around changes of relevance it is the second one. Raises as `Teacher.ask`."""
        return _latest(await self._score(video, question))

    async def _score(self, video: PreparedVideo, question: VideoQuestion) -> list["_Window"]:
        """The windows of both passes, in the order in which their scores are to be recorded."""
        frames, window = len(video.jpegs), self.config.window
        first = [range(start, min(start + window, frames)) for start in range(0, frames, window)]
        windows = await self._score_windows(video, question, first)
        again = boundary_ranges(self._relevant(_latest(windows)), self.config.boundary, window)
        return [*windows, *await self._score_windows(video, question, again)]

    async def _score_windows(
        self, video: PreparedVideo, question: VideoQuestion, ranges: Sequence[range]
    ) -> list["_Window"]:
        return await all_answered(self._score_window(video, question, chosen) for chosen in ranges)

    async def _score_window(self, video: PreparedVideo, question: VideoQuestion, chosen: range) -> "_Window":
        text = SCORES.fill(
            {"count": len(chosen), "question": question.question, "options": options_block(question.options)}
        )
        return await self.teacher.about(question.video).ask(
            text,
            video.pictures(chosen),
            FrameScores,
            lambda reply: _Window(chosen, reply.in_order(len(chosen)), reply.reason),
            SCORES.name,
        )

    def _relevant(self, scores: Sequence[int]) -> list[bool]:
        return [score >= self.config.threshold for score in scores]


@dataclass(frozen=True)
class AnnotateRecipe:
    """Makes the labellers of `flr annotate` in any process."""

    config: AnnotateConfig

    @property
    def kinds(self) -> Sequence[str]:
        return [SCORES.name, *(NECESSITY_PROMPTS if self.config.necessity else [])]

    def __call__(self, videos: VideoFolder) -> Callable[[Teacher], Labeller]:
        return lambda teacher: TeacherLabeller(videos, teacher, self.config, self.config.necessity)


def boundary_ranges(relevant: Sequence[bool], reach: int, window: int) -> list[range]:
    """The frames to score again, in order: `reach` on each side of every change of `relevant` (ours).

    Changes near each other share a range as long as it holds at most `window` frames (or one change's 2 x `reach`); ranges
    that could not be joined may overlap.
    """
    ranges: list[range] = []
    for after, (was, becomes) in enumerate(pairwise(relevant), start=1):
        if was == becomes or reach < 1:
            continue
        around = range(max(0, after - reach), min(len(relevant), after + reach))
        if ranges and around.start <= ranges[-1].stop and around.stop - ranges[-1].start <= window:
            ranges[-1] = range(ranges[-1].start, around.stop)
        else:
            ranges.append(around)
    return ranges


@dataclass(frozen=True)
class _Window:
    """What one reply says about consecutive frames."""

    frames: range
    scores: list[int]
    reason: str


def _latest(windows: Sequence[_Window]) -> list[int]:
    """One score per frame: the last one that was given."""
    scores = {frame: score for window in windows for frame, score in zip(window.frames, window.scores, strict=True)}
    return [scores[frame] for frame in sorted(scores)]


def _reason(windows: Sequence[_Window], relevant: Sequence[bool]) -> str:
    """What was said about the windows that hold relevant frames, or about all where none is; each only once."""
    telling = [window for window in windows if any(relevant[frame] for frame in window.frames)] or windows
    return "; ".join(dict.fromkeys(window.reason for window in telling))
