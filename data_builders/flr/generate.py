"""Video-FLR from videos alone: captions, questions asked backwards from them, three filters (paper section 4, data)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from videorouter.data_builders.flr.captions import PROMPT as CAPTIONS
from videorouter.data_builders.flr.captions import caption_frames
from videorouter.data_builders.flr.filters import ANSWER, COHERENCE, COUNTERFACTUAL, FILTERS
from videorouter.data_builders.flr.propose import PROMPT as PROPOSALS
from videorouter.data_builders.flr.propose import Candidate, candidates, propose
from videorouter.data_builders.jobs import VideoJob
from videorouter.data_builders.judging import PROMPT as JUDGING
from videorouter.data_builders.labelling import Labelled, label_each
from videorouter.data_builders.rejects import Reject
from videorouter.data_builders.teacher import Teacher, TeacherReplyError
from videorouter.data_builders.videos import PreparedVideo, VideoFolder
from videorouter.shards.schema import FrameRelevance, LabelledQuestion, VideoQuestion

PROMPTS = [prompt.name for prompt in (CAPTIONS, PROPOSALS, COHERENCE, ANSWER, COUNTERFACTUAL, JUDGING)]


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


class QuestionGenerator:
    """Writes the questions of a video itself, with their labels; the questions of a job are not looked at."""

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
            return [], [Reject(job.video, "teacher", error.verdict, str(error), error.raw)]
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
