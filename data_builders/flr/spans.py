"""Frame relevance from evidence spans that people marked, in seconds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from videorouter.data_builders.building.labeller import Labelled, Labeller, label_each
from videorouter.data_builders.building.plan import VideoJob
from videorouter.data_builders.teacher.teacher import Teacher
from videorouter.data_builders.videos import PreparedVideo, VideoFolder
from videorouter.shards.schema import FrameRelevance, LabelledQuestion, VideoQuestion


class SpanLabeller:
    """A frame is relevant when the moment it was taken lies in a span."""

    def __init__(self, videos: VideoFolder) -> None:
        self.videos = videos

    def prepare(self, job: VideoJob) -> PreparedVideo:
        return self.videos.prepare(job.video)

    async def label(self, video: PreparedVideo, job: VideoJob) -> Labelled:
        return await label_each(job.questions, partial(self._label, video))

    async def _label(self, video: PreparedVideo, question: VideoQuestion) -> LabelledQuestion:
        """Raises `ValueError` for a question without spans, or whose spans hold none of the sampled frames."""
        if not question.evidence:
            raise ValueError(f"question {question.id} has no evidence spans: use `flr annotate` for it")
        relevant = frames_in_spans(video.record.seconds, question.evidence)
        if not any(relevant):
            raise ValueError(
                f"no sampled frame of {question.video} ({video.record.duration:.1f} s) lies in the spans "
                f"{question.evidence} of question {question.id}: sample more frames, or the spans exceed the video"
            )
        return LabelledQuestion(question=question, relevance=FrameRelevance(relevant=relevant), origin="spans")


@dataclass(frozen=True)
class SpanRecipe:
    """Makes the labellers of `flr spans` in any process."""

    kinds: ClassVar[Sequence[str]] = ()

    def __call__(self, videos: VideoFolder) -> Callable[[Teacher], Labeller]:
        return lambda _: SpanLabeller(videos)


def frames_in_spans(seconds: Sequence[float], spans: Sequence[tuple[float, float]]) -> list[bool]:
    """For every frame time, whether it lies in a span `[start, end)`."""
    return [any(start <= second < end for start, end in spans) for second in seconds]
