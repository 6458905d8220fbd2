"""One probe: the same question under forced `global` and forced `fragment`, at equal tokens (an equal cap), and who answers it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from videorouter.data_builders.bounds import ANY, check_bounds
from videorouter.data_builders.teacher.answering import answer_from, is_right
from videorouter.data_builders.teacher.concurrency import all_answered
from videorouter.data_builders.teacher.replies import VideoAnswer
from videorouter.data_builders.teacher.request import DataUrl, Picture, data_url
from videorouter.data_builders.teacher.teacher import Teacher
from videorouter.data_builders.videos import PreparedVideo
from videorouter.routers.routing.allocation import Allocation, allocate
from videorouter.shards import jpeg
from videorouter.shards.policy import POLICIES, Policy
from videorouter.shards.schema import VideoQuestion
from videorouter.video.frames import resize_frames

Answer = Callable[[VideoQuestion, Allocation], Awaitable[VideoAnswer]]
"""Answers a question about one video from the frames that an allocation keeps, each at its scale. Raises as `Teacher.ask`."""


class UnworkableBudget(ValueError):
    """Options that leave no allocation: they are the run's fault, and no question's."""


class Prober(Protocol):
    """Answers questions under a forced allocation; `name` says in the manifest who did."""

    @property
    def name(self) -> str: ...

    async def load(self, video: PreparedVideo) -> Answer:
        """Take in one video, once for all questions about it."""
        ...


@dataclass
class ProbeConfig:
    """How policies are probed.

    Args:
        tokens_per_frame: M of the base model the labels are for
        budget: tokens a question under either policy; null: what `global` needs for all frames
        global_scale: s_g
        relevant_scale: s_1
        irrelevant_scale: s_0
        per_category: questions with answers probed in each category, taken evenly over the training split
        local_base: folder of a base model that answers the probes; null: the teacher does
        device: where the local base runs: cpu or cuda
    """

    tokens_per_frame: int = 256
    budget: int | None = None
    global_scale: int = 2
    relevant_scale: int = 1
    irrelevant_scale: int = 4
    per_category: int = 24
    local_base: str | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        """Raises `ValueError` for numbers out of bounds."""
        scales = ("global_scale", "relevant_scale", "irrelevant_scale")
        check_bounds(self, dict.fromkeys(("tokens_per_frame", "budget", *scales, "per_category"), (1, ANY)))

    def plan(self, policy: Policy, relevant: Sequence[bool]) -> Allocation:
        """The forced allocation. Raises `UnworkableBudget` as `allocate` raises `ValueError`."""
        try:
            return allocate(
                policy,
                relevant,
                tokens_per_frame=self.tokens_per_frame,
                budget=self.budget or len(relevant) * (self.tokens_per_frame // self.global_scale),
                global_scale=self.global_scale,
                relevant_scale=self.relevant_scale,
                irrelevant_scale=self.irrelevant_scale,
            )
        except ValueError as error:
            raise UnworkableBudget(str(error)) from error


@dataclass(frozen=True)
class Probed:
    """One question under both policies: was the answer right, how many tokens were fed, and what was answered."""

    question: str
    solved: dict[Policy, bool]
    tokens: dict[Policy, int]
    answers: dict[Policy, str]

    @property
    def both(self) -> bool:
        """Solved under both policies."""
        return all(self.solved.values())

    @property
    def neither(self) -> bool:
        """Solved under none."""
        return not any(self.solved.values())

    @property
    def alone(self) -> Policy | None:
        """The policy that alone solved it."""
        if self.both or self.neither:
            return None
        return "global" if self.solved["global"] else "fragment"


async def probe(
    answer: Answer, judge: Teacher, config: ProbeConfig, question: VideoQuestion, relevant: Sequence[bool]
) -> Probed:
    """Ask one question under both policies; `relevant` holds one bool per frame, `judge` decides about open answers.

    Raises `TeacherReplyError`, `TeacherStopped`, and `UnworkableBudget`.
    """

    async def ask(plan: Allocation) -> tuple[bool, str]:
        reply = await answer(question, plan)
        return await is_right(judge.about(question.video), question, reply), reply.answer if reply.answerable else ""

    plans = {policy: config.plan(policy, relevant) for policy in POLICIES}
    asked = dict(zip(POLICIES, await all_answered(ask(plan) for plan in plans.values()), strict=True))
    return Probed(
        question.id,
        solved={policy: right for policy, (right, _) in asked.items()},
        tokens={policy: plan.tokens for policy, plan in plans.items()},
        answers={policy: text for policy, (_, text) in asked.items()},
    )


class TeacherProber:
    """The teacher answers, from frames sent at the resolution that matches their scale.

    An endpoint has no token budget of ours; what a scale does to a frame is reproduced by sending the frame smaller: scale s
    divides the side by sqrt(s), so the pixels, as the tokens, by s (ours).
    """

    def __init__(self, teacher: Teacher) -> None:
        self.teacher = teacher
        self.name = f"teacher {teacher.config.model}"

    async def load(self, video: PreparedVideo) -> Answer:
        return partial(self._answer, video)

    async def _answer(self, video: PreparedVideo, question: VideoQuestion, plan: Allocation) -> VideoAnswer:
        pictures = [
            Picture(f"Frame-{number}:", _url(video, frame, scale))
            for number, (frame, scale) in enumerate(zip(plan.frames, plan.scales, strict=True), start=1)
        ]
        return await answer_from(self.teacher.about(question.video), question, pictures)


def _url(video: PreparedVideo, frame: int, scale: int) -> DataUrl:
    """A frame at a scale as a data URL, resized once for all questions."""
    if scale == 1:
        return video.urls[frame]
    if (frame, scale) not in video.smaller:
        picture = jpeg.decode(video.jpegs[frame], video.record.height, video.record.width)
        height, width = (max(1, round(side / scale**0.5)) for side in picture.shape[:2])
        video.smaller[frame, scale] = data_url(jpeg.encode(resize_frames(picture[None], (height, width))[0]))
    return video.smaller[frame, scale]
