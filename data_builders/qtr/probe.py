"""Probing: the same question under forced `global` and forced `fragment`, at equal tokens, through the teacher.

The teacher has no token budget of ours; what a scale does to a frame is reproduced by sending the frame smaller: scale s
divides the side by sqrt(s), so the pixels, as the tokens, by s (ours).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from data_builders.prompting import load_prompt, options_block
from data_builders.replies import VideoAnswer
from data_builders.teacher import Picture, Teacher, data_url
from data_builders.videos import PreparedVideo
from routers.allocation import Allocation, Policy, allocate
from routers.answers import letters, parse_choice
from shards import jpeg
from shards.schema import VideoQuestion
from video.resize import resize_frames

PROMPT = load_prompt("answer")
POLICIES: tuple[Policy, Policy] = ("global", "fragment")


@dataclass
class ProbeConfig:
    """How policies are probed.

    Args:
        tokens_per_frame: M of the base model the labels are for
        budget: tokens a question under either policy; null: what `global` needs for all frames
        global_scale: s_g
        relevant_scale: s_1
        irrelevant_scale: s_0
        per_category: questions probed in each category, with options, taken evenly over the training split
    """

    tokens_per_frame: int = 256
    budget: int | None = None
    global_scale: int = 2
    relevant_scale: int = 1
    irrelevant_scale: int = 4
    per_category: int = 24

    def plan(self, policy: Policy, relevant: Sequence[bool]) -> Allocation:
        """The forced allocation. Raises `ValueError` as `allocate`."""
        return allocate(
            policy,
            relevant,
            tokens_per_frame=self.tokens_per_frame,
            budget=self.budget or len(relevant) * (self.tokens_per_frame // self.global_scale),
            global_scale=self.global_scale,
            relevant_scale=self.relevant_scale,
            irrelevant_scale=self.irrelevant_scale,
        )


@dataclass(frozen=True)
class Probed:
    """Whether each policy let the teacher answer one question, and the tokens each fed."""

    question: str
    solved: dict[Policy, bool]
    tokens: dict[Policy, int]


async def probe(
    teacher: Teacher, config: ProbeConfig, video: PreparedVideo, question: VideoQuestion, relevant: Sequence[bool]
) -> Probed:
    """Ask one question under both policies. Raises `TeacherReplyError`, `TeacherUnavailable`."""
    plans = {policy: config.plan(policy, relevant) for policy in POLICIES}
    solved = await asyncio.gather(*(_solves(teacher, video, question, plan) for plan in plans.values()))
    return Probed(
        question.id,
        dict(zip(POLICIES, solved, strict=True)),
        {policy: plan.tokens for policy, plan in plans.items()},
    )


async def _solves(teacher: Teacher, video: PreparedVideo, question: VideoQuestion, plan: Allocation) -> bool:
    assert question.options is not None
    assert question.answer is not None
    pictures = [
        Picture(f"Frame-{number}:", _url(video, frame, scale))
        for number, (frame, scale) in enumerate(zip(plan.frames, plan.scales, strict=True), start=1)
    ]
    text = PROMPT.fill(
        {"count": len(pictures), "question": question.question, "options": options_block(question.options)}
    )
    return await teacher.ask(text, pictures, VideoAnswer, partial(_right, question.options, question.answer))


def _right(options: Sequence[str], answer: str, reply: VideoAnswer) -> bool:
    right = letters(options)[options.index(answer)]
    return reply.answerable and parse_choice(reply.answer, options) == right


def _url(video: PreparedVideo, frame: int, scale: int) -> str:
    """A frame at a scale as a data URL, resized once for all questions."""
    if scale == 1:
        return video.urls[frame]
    if (frame, scale) not in video.smaller:
        picture = jpeg.decode(video.jpegs[frame], video.record.height, video.record.width)
        side = max(1, round(picture.shape[0] / scale**0.5))
        video.smaller[frame, scale] = data_url(jpeg.encode(resize_frames(picture[None], side)[0]))
    return video.smaller[frame, scale]
