"""Video-FLR from videos alone: captions, questions asked backwards from them, filters (paper section 4, data; prompts ours)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from videorouter.data_builders.bounds import ANY, check_bounds
from videorouter.data_builders.building.labeller import Labelled, Labeller, label_each
from videorouter.data_builders.building.plan import VideoJob
from videorouter.data_builders.flr.filters import COHERENCE, COUNTERFACTUAL, FILTERS, PROPOSAL, Candidate, caption_lines
from videorouter.data_builders.rejects import Reject, reject_of
from videorouter.data_builders.teacher.answering import ANSWER, JUDGE
from videorouter.data_builders.teacher.concurrency import all_answered
from videorouter.data_builders.teacher.errors import TeacherReplyError
from videorouter.data_builders.teacher.replies import FrameCaptions, ProposedQuestion, ProposedQuestions
from videorouter.data_builders.teacher.request import load_prompt
from videorouter.data_builders.teacher.teacher import Teacher
from videorouter.data_builders.videos import PreparedVideo, VideoFolder
from videorouter.shards.schema import FrameRelevance, LabelledQuestion, VideoQuestion

CAPTIONS = load_prompt("frame_captions")
PROPOSALS = load_prompt("question_proposals")
PROMPTS = [prompt.name for prompt in (CAPTIONS, PROPOSALS, COHERENCE, ANSWER, COUNTERFACTUAL, JUDGE)]


@dataclass
class GenerateConfig:
    """What is generated.

    Args:
        questions_per_video: questions proposed for each video; the filters leave fewer
        window: frames captioned in one request
        licence: of the videos, kept with every question
    """

    questions_per_video: int = 8
    window: int = 16
    licence: str | None = None

    def __post_init__(self) -> None:
        """Raises `ValueError` for numbers out of bounds."""
        check_bounds(self, {"questions_per_video": (1, ANY), "window": (1, ANY)})


class QuestionGenerator:
    """Writes the questions of a video itself, with their labels; the questions of a job are ignored."""

    def __init__(self, videos: VideoFolder, teacher: Teacher, config: GenerateConfig) -> None:
        self.videos = videos
        self.teacher = teacher
        self.config = config

    def prepare(self, job: VideoJob) -> PreparedVideo:
        return self.videos.prepare(job.video)

    async def label(self, video: PreparedVideo, job: VideoJob) -> Labelled:
        try:
            captions = await caption_frames(self.teacher, video, self.config.window)
            proposals = await propose(self.teacher, captions, self.config.questions_per_video)
        except TeacherReplyError as error:  # captions that are not whole would hide evidence: no question is safe
            return [], [reject_of(job.video, "teacher", error)]
        if not proposals:
            return [], [Reject(job.video, "teacher", "no_question", "the teacher found nothing to ask")]
        about = {"video": job.video, "split": job.split, "licence": self.config.licence}
        proposed, rejects = candidates(job.key, proposals, len(video.jpegs), about)
        labelled, filtered = await self._filtered(video, captions, proposed)
        return labelled, [*rejects, *filtered]

    async def _filtered(self, video: PreparedVideo, captions: Sequence[str], proposed: Sequence[Candidate]) -> Labelled:
        by_name = {candidate.question.id: candidate for candidate in proposed}

        async def label_one(question: VideoQuestion) -> LabelledQuestion:
            candidate = by_name[question.id]
            for passes in FILTERS:
                await passes(self.teacher, video, captions, candidate)
            return self._labelled(candidate, len(video.jpegs))

        labelled, rejects = await label_each([candidate.question for candidate in proposed], label_one)
        return labelled, [
            reject if reject.raw else replace(reject, raw=by_name[reject.item].proposal.model_dump_json())
            for reject in rejects
        ]

    def _labelled(self, candidate: Candidate, frames: int) -> LabelledQuestion:
        return LabelledQuestion(
            question=candidate.question,
            relevance=FrameRelevance(relevant=candidate.relevant(frames)),
            origin="teacher",
            teacher=self.teacher.config.model,
            prompt_hash=PROPOSALS.hash,
            reason=candidate.reason,
        )


@dataclass(frozen=True)
class GenerateRecipe:
    """Makes the labellers of `flr generate` in any process."""

    config: GenerateConfig
    kinds: ClassVar[Sequence[str]] = PROMPTS

    def __call__(self, videos: VideoFolder) -> Callable[[Teacher], Labeller]:
        return lambda teacher: QuestionGenerator(videos, teacher, self.config)


async def caption_frames(teacher: Teacher, video: PreparedVideo, window: int) -> list[str]:
    """What every sampled frame shows, a line each; `window` frames a request. Raises as `Teacher.ask`."""
    starts = range(0, len(video.jpegs), window)
    windows = await all_answered(_caption_window(teacher, video, start, window) for start in starts)
    return [caption for captions in windows for caption in captions]


async def propose(teacher: Teacher, captions: Sequence[str], count: int) -> list[ProposedQuestion]:
    """At most `count` questions with their evidence frames, from captions alone. Raises as `Teacher.ask`."""
    values = {"frames": len(captions), "count": count, "captions": caption_lines(captions, range(len(captions)))}
    reply = await teacher.ask(PROPOSALS.fill(values), [], ProposedQuestions, lambda reply: reply, PROPOSALS.name)
    return reply.questions[:count]


def candidates(
    key: str, proposals: Sequence[ProposedQuestion], frames: int, about: Mapping[str, Any]
) -> tuple[list[Candidate], list[Reject]]:
    """The proposals that are questions about `frames` frames, named `{key}-g{number}`, and those that are not.

    `about` holds what the questions of a video share: its path, split and licence.
    """
    found: dict[tuple[str, ...], Candidate] = {}
    rejects = []
    for number, proposal in enumerate(proposals):
        name = f"{key}-g{number}"
        try:
            candidate = _candidate(name, proposal, frames, about)
            asks = _same_for_all_spellings(candidate.question)
            if asks in found:
                raise ValueError(f"it asks the same as {found[asks].question.id}")
            found[asks] = candidate
        except ValueError as error:
            rejects.append(Reject(name, "filter", PROPOSAL, str(error), proposal.model_dump_json()))
    return list(found.values()), rejects


async def _caption_window(teacher: Teacher, video: PreparedVideo, start: int, window: int) -> list[str]:
    pictures = video.pictures(range(start, min(start + window, len(video.jpegs))))
    text = CAPTIONS.fill({"count": len(pictures)})
    return await teacher.ask(text, pictures, FrameCaptions, lambda reply: reply.in_order(len(pictures)), CAPTIONS.name)


def _candidate(name: str, proposal: ProposedQuestion, frames: int, about: Mapping[str, Any]) -> Candidate:
    question, answer = " ".join(proposal.question.split()), " ".join(proposal.answer.split())
    options = [" ".join(option.split()) for option in proposal.options]
    unknown = sorted({number for number in proposal.evidence if not 1 <= number <= frames})
    if not question or not answer:
        raise ValueError("the question or its answer is empty")
    if unknown or not proposal.evidence:
        raise ValueError(f"its evidence frames are {unknown or 'none'}, but the frames are 1 to {frames}")
    if options and (len(options) < 2 or len({option.casefold() for option in options}) < len(options)):
        raise ValueError(f"{options} is no choice between different options")
    if options and answer not in options:
        raise ValueError(f"the answer {answer!r} is not among the options {options}")
    asked = VideoQuestion(
        id=name,
        question=question,
        options=options or None,
        answer=answer,
        task_type=" ".join(proposal.task_type.split()) or "generated",
        source="generated",
        **about,
    )
    return Candidate(asked, tuple(sorted({number - 1 for number in proposal.evidence})), proposal.reason, proposal)


def _same_for_all_spellings(question: VideoQuestion) -> tuple[str, ...]:
    """Equal for questions that ask the same: case and the order of options do not matter."""
    return (question.question.casefold(), *sorted(option.casefold() for option in question.options or []))
