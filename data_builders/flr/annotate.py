"""Frame relevance from a teacher that scores frames 0-100, a window of frames at a time (prompts and threshold ours)."""

import asyncio
from dataclasses import dataclass
from functools import partial

from data_builders.jobs import VideoJob
from data_builders.labelling import Labelled, label_each
from data_builders.prompting import load_prompt, options_block
from data_builders.replies import FrameScores
from data_builders.teacher import Teacher
from data_builders.videos import PreparedVideo, VideoFolder
from shards.schema import FrameRelevance, LabelledQuestion, VideoQuestion


@dataclass
class ScoringConfig:
    """How the teacher scores.

    Args:
        window: frames a request
        threshold: a frame is relevant from this score on
    """

    window: int = 32
    threshold: int = 50


class TeacherLabeller:
    """Asks the teacher about every window of a video's frames for every question."""

    def __init__(self, videos: VideoFolder, teacher: Teacher, config: ScoringConfig) -> None:
        self.videos = videos
        self.teacher = teacher
        self.config = config
        self.prompt = load_prompt("frame_scores")

    def prepare(self, job: VideoJob) -> PreparedVideo:
        return self.videos.prepare(job.video)

    async def label(self, video: PreparedVideo, job: VideoJob) -> Labelled:
        return await label_each(job.questions, partial(self._label, video))

    async def _label(self, video: PreparedVideo, question: VideoQuestion) -> LabelledQuestion:
        scores = await self.score(video, question)
        return LabelledQuestion(
            question=question,
            relevance=FrameRelevance(relevant=[score >= self.config.threshold for score in scores], scores=scores),
            origin="teacher",
            teacher=self.teacher.config.model,
            prompt_hash=self.prompt.hash,
        )

    async def score(self, video: PreparedVideo, question: VideoQuestion) -> list[int]:
        """One score 0-100 per frame. Raises `TeacherReplyError` or `TeacherUnavailable`."""
        starts = range(0, len(video.jpegs), self.config.window)
        windows = await asyncio.gather(*(self._score_window(video, question, start) for start in starts))
        return [score for window in windows for score in window]

    async def _score_window(self, video: PreparedVideo, question: VideoQuestion, start: int) -> list[int]:
        pictures = video.pictures(range(start, min(start + self.config.window, len(video.jpegs))))
        text = self.prompt.fill(
            {"count": len(pictures), "question": question.question, "options": options_block(question.options)}
        )
        return await self.teacher.ask(text, pictures, FrameScores, lambda reply: reply.in_order(len(pictures)))
