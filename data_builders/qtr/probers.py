"""Who answers when a policy is probed: the teacher, or a local base model (`local_prober`).

An endpoint has no token budget of ours; what a scale does to a frame is reproduced by sending the frame smaller: scale s
divides the side by sqrt(s), so the pixels, as the tokens, by s (ours).
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from videorouter.data_builders.prompting import load_prompt, options_block
from videorouter.data_builders.replies import VideoAnswer
from videorouter.data_builders.teacher import DataUrl, Picture, Teacher, data_url
from videorouter.data_builders.videos import PreparedVideo
from videorouter.routers.allocation import Allocation
from videorouter.shards import jpeg
from videorouter.shards.schema import VideoQuestion
from videorouter.video.resize import resize_frames

PROMPT = load_prompt("answer")

Answer = Callable[[VideoQuestion, Allocation], Awaitable[VideoAnswer]]
"""Answers a question about one video from the frames that an allocation keeps, each at its scale. Raises as `Teacher.ask`."""


class Prober(Protocol):
    """Answers questions under a forced allocation; `name` says in the manifest who did."""

    @property
    def name(self) -> str: ...

    async def watch(self, video: PreparedVideo) -> Answer:
        """Take in one video, once for all questions about it."""
        ...


class TeacherProber:
    """The teacher answers, from frames sent at the resolution that matches their scale."""

    def __init__(self, teacher: Teacher) -> None:
        self.teacher = teacher
        self.name = f"teacher {teacher.config.model}"

    async def watch(self, video: PreparedVideo) -> Answer:
        return partial(self._answer, video)

    async def _answer(self, video: PreparedVideo, question: VideoQuestion, plan: Allocation) -> VideoAnswer:
        pictures = [
            Picture(f"Frame-{number}:", _url(video, frame, scale))
            for number, (frame, scale) in enumerate(zip(plan.frames, plan.scales, strict=True), start=1)
        ]
        text = PROMPT.fill(
            {"count": len(pictures), "question": question.question, "options": options_block(question.options)}
        )
        return await self.teacher.ask(text, pictures, VideoAnswer, lambda reply: reply)


def _url(video: PreparedVideo, frame: int, scale: int) -> DataUrl:
    """A frame at a scale as a data URL, resized once for all questions."""
    if scale == 1:
        return video.urls[frame]
    if (frame, scale) not in video.smaller:
        picture = jpeg.decode(video.jpegs[frame], video.record.height, video.record.width)
        side = max(1, round(picture.shape[0] / scale**0.5))
        video.smaller[frame, scale] = data_url(jpeg.encode(resize_frames(picture[None], side)[0]))
    return video.smaller[frame, scale]
