"""The ways of labelling as recipes: what each needs, picklable, so that any process can make its labellers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from videorouter.data_builders.flr.annotate import AnnotateConfig, TeacherLabeller
from videorouter.data_builders.flr.generate import GenerateConfig, QuestionGenerator
from videorouter.data_builders.flr.spans import SpanLabeller
from videorouter.data_builders.flr.splice import SpliceLabeller, Timeline
from videorouter.data_builders.labelling import Labeller
from videorouter.data_builders.qtr.decide import Probing
from videorouter.data_builders.qtr.frames import FrameSource
from videorouter.data_builders.qtr.label import PolicyLabeller
from videorouter.data_builders.qtr.winners import PolicyConfig
from videorouter.data_builders.replies import QuestionCategory
from videorouter.data_builders.teacher import Teacher
from videorouter.data_builders.videos import VideoFolder


@dataclass(frozen=True)
class Annotate:
    """The teacher scores frames."""

    config: AnnotateConfig

    def __call__(self, videos: VideoFolder) -> Callable[[Teacher], Labeller]:
        return lambda teacher: TeacherLabeller(videos, teacher, self.config, self.config.necessity)


@dataclass(frozen=True)
class Generate:
    """The teacher writes the questions, too."""

    config: GenerateConfig

    def __call__(self, videos: VideoFolder) -> Callable[[Teacher], Labeller]:
        return lambda teacher: QuestionGenerator(videos, teacher, self.config)


@dataclass(frozen=True)
class Spans:
    """People marked spans."""

    def __call__(self, videos: VideoFolder) -> Callable[[Teacher], Labeller]:
        return lambda _: SpanLabeller(videos)


@dataclass(frozen=True)
class Splice:
    """Clips are joined."""

    timelines: Mapping[str, Timeline]

    def __call__(self, videos: VideoFolder) -> Callable[[Teacher], Labeller]:
        return lambda _: SpliceLabeller(videos, dict(self.timelines))


@dataclass(frozen=True)
class Policies:
    """Probing decided; frames come from `relevance`, an earlier Video-FLR build, where it has them."""

    relevance: Path | None
    categories: Mapping[str, QuestionCategory]
    probing: Probing
    config: PolicyConfig

    def __call__(self, videos: VideoFolder) -> Callable[[Teacher], Labeller]:
        frames = FrameSource(videos, None, self.relevance)
        return lambda teacher: PolicyLabeller(frames, teacher, self.categories, self.probing, self.config)
