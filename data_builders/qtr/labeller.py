"""The Video-QTR labeller: a question gets its category's winner, or by option the policy that alone solved it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from videorouter.data_builders.building.labeller import Labelled, Labeller, label_each
from videorouter.data_builders.building.plan import VideoJob
from videorouter.data_builders.qtr.frame_source import FrameSource
from videorouter.data_builders.qtr.outcomes import BY_CATEGORY, PolicyConfig, Probing
from videorouter.data_builders.qtr.probing import CATEGORY
from videorouter.data_builders.rejects import Filtered
from videorouter.data_builders.teacher.replies import QuestionCategory
from videorouter.data_builders.teacher.teacher import Teacher
from videorouter.data_builders.videos import PreparedVideo, VideoFolder
from videorouter.shards.schema import LabelledQuestion, PolicyLabel, VideoQuestion


class PolicyLabeller:
    """Labels questions by what probing showed; `categories` holds every question's, by id."""

    def __init__(
        self,
        frames: FrameSource,
        teacher: Teacher,
        categories: Mapping[str, QuestionCategory],
        probing: Probing,
        config: PolicyConfig = BY_CATEGORY,
    ) -> None:
        self.frames = frames
        self.teacher = teacher
        self.categories = categories
        self.probing = probing
        self.config = config
        self._failed = {reject.item: reject for reject in probing.failed}

    def prepare(self, job: VideoJob) -> PreparedVideo:
        return self.frames.prepare(job.video)

    async def label(self, video: PreparedVideo, job: VideoJob) -> Labelled:
        """As `Labeller`; a question that needs a probe of its own and has a failed one is put aside as that says."""
        failed = [q for q in job.questions if q.id in self._failed and self.config.labels == "question"]
        labelled, rejects = await label_each([q for q in job.questions if q not in failed], self._label)
        return labelled, [*(self._failed[question.id] for question in failed), *rejects]

    async def _label(self, question: VideoQuestion) -> LabelledQuestion:
        return LabelledQuestion(
            question=question,
            policy=self._policy(question),
            origin="teacher",
            teacher=self.teacher.config.model,
            prompt_hash=CATEGORY.hash,
            reason=self.categories[question.id].reason,
        )

    def _policy(self, question: VideoQuestion) -> PolicyLabel:
        """Raises `Filtered` for what is left out by option, `ValueError` where nothing of the category was probed."""
        category = self.categories[question.id].category
        probed = self.probing.probed.get(question.id)
        dropped_by = self.config.drops(probed) if probed else None
        if dropped_by:
            raise Filtered(dropped_by, f"{dropped_by} of the policies solved question {question.id}")
        if self.config.labels == "question":
            if probed is None:
                raise Filtered("unprobed", f"question {question.id} was not probed: see --per_category")
            if probed.alone:
                return PolicyLabel(policy=probed.alone, category=category, margin=1.0, support=1)
        outcome = self.probing.outcomes.get(category)
        if outcome is None:
            raise ValueError(f"category {category} of question {question.id} was never probed")
        label = outcome.label(self.config)
        if label is None:
            raise Filtered("tie", f"both policies solved {outcome.solved_global} of category {category}")
        return label


@dataclass(frozen=True)
class PolicyRecipe:
    """Makes the labellers of `qtr` in any process; frames come from `relevance`, an earlier Video-FLR build, where it has them."""

    relevance: Path | None
    categories: Mapping[str, QuestionCategory]
    probing: Probing
    config: PolicyConfig
    kinds: ClassVar[Sequence[str]] = ()
    """What the labels rest on was asked before."""

    def __call__(self, videos: VideoFolder) -> Callable[[Teacher], Labeller]:
        frames = FrameSource(videos, None, self.relevance)
        return lambda teacher: PolicyLabeller(frames, teacher, self.categories, self.probing, self.config)
