"""Probing: the same question under forced `global` and forced `fragment`, at equal tokens (an equal cap)."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from videorouter.data_builders.judging import is_right
from videorouter.data_builders.qtr.probers import Answer, Prober, TeacherProber
from videorouter.data_builders.teacher import Teacher
from videorouter.routers.allocation import Allocation, allocate
from videorouter.shards.policy import POLICIES, Policy
from videorouter.shards.schema import VideoQuestion


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

    def prober(self, teacher: Teacher) -> Prober:
        """Who answers. Raises `ValueError` or what transformers raises for a local base that does not load."""
        if self.local_base is None:
            return TeacherProber(teacher)
        from videorouter.data_builders.qtr.local_prober import LocalProber  # torch takes seconds to import

        return LocalProber(self.local_base, self.device, self.tokens_per_frame)


@dataclass(frozen=True)
class Probed:
    """One question under both policies: was the answer right, how many tokens were fed, and what was answered."""

    question: str
    solved: dict[Policy, bool]
    tokens: dict[Policy, int]
    answers: dict[Policy, str]

    @property
    def both(self) -> bool:
        """Solved under either policy."""
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

    Raises `TeacherReplyError`, `TeacherStopped`, and `ValueError` for an unworkable budget.
    """

    async def ask(plan: Allocation) -> tuple[bool, str]:
        reply = await answer(question, plan)
        return await is_right(judge, question, reply), reply.answer if reply.answerable else ""

    plans = {policy: config.plan(policy, relevant) for policy in POLICIES}
    asked = dict(zip(POLICIES, await asyncio.gather(*(ask(plan) for plan in plans.values())), strict=True))
    return Probed(
        question.id,
        solved={policy: right for policy, (right, _) in asked.items()},
        tokens={policy: plan.tokens for policy, plan in plans.items()},
        answers={policy: text for policy, (_, text) in asked.items()},
    )
