"""Reverse question answering: from captions alone a teacher writes questions whose evidence frames it knows (prompt ours)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from videorouter.data_builders.flr.captions import listed
from videorouter.data_builders.flr.replies import ProposedQuestion, ProposedQuestions
from videorouter.data_builders.prompting import load_prompt
from videorouter.data_builders.rejects import Reject
from videorouter.data_builders.teacher import Teacher
from videorouter.shards.schema import VideoQuestion

PROMPT = load_prompt("question_proposals")
PROPOSAL = "proposal"
"""The first filter's name: what is proposed must be a question about these frames at all."""


@dataclass(frozen=True)
class Candidate:
    """A question that is not filtered yet; `evidence` are its frames, counted from 0, in order."""

    question: VideoQuestion
    evidence: tuple[int, ...]
    reason: str
    proposal: ProposedQuestion

    def relevant(self, frames: int) -> list[bool]:
        """One bool per sampled frame."""
        carries = set(self.evidence)
        return [frame in carries for frame in range(frames)]


async def propose(teacher: Teacher, captions: Sequence[str], count: int) -> list[ProposedQuestion]:
    """At most `count` questions. Raises as `Teacher.ask`."""
    values = {"frames": len(captions), "count": count, "captions": listed(captions, range(len(captions)))}
    reply = await teacher.ask(PROMPT.fill(values), [], ProposedQuestions, lambda reply: reply)
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
