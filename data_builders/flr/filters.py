"""The three filters a generated question must pass, cheapest first (paper section 4, data; prompts and criteria ours).

Each raises `Filtered` with its own name, and what `Teacher.ask` raises.
"""

from collections.abc import Iterable, Sequence

from videorouter.data_builders.flr.captions import listed
from videorouter.data_builders.flr.propose import Candidate
from videorouter.data_builders.flr.replies import Coherence
from videorouter.data_builders.judging import is_right
from videorouter.data_builders.prompting import Prompt, load_prompt, options_block
from videorouter.data_builders.rejects import Filtered
from videorouter.data_builders.replies import VideoAnswer
from videorouter.data_builders.teacher import Teacher
from videorouter.data_builders.videos import PreparedVideo
from videorouter.shards.schema import VideoQuestion

ANSWER = load_prompt("answer")
COUNTERFACTUAL = load_prompt("counterfactual")
COHERENCE = load_prompt("coherence")


async def coherence(teacher: Teacher, video: PreparedVideo, captions: Sequence[str], candidate: Candidate) -> None:
    """Question, answer and evidence must fit, judged by their texts alone."""
    values = {
        "question": candidate.question.question,
        "options": options_block(candidate.question.options),
        "answer": candidate.question.answer,
        "captions": listed(captions, candidate.evidence),
    }
    judged = await teacher.ask(COHERENCE.fill(values), [], Coherence, lambda reply: reply)
    if not judged.coherent:
        raise Filtered("coherence", f"question, answer and evidence do not fit: {judged.reason}")


async def consistency(teacher: Teacher, video: PreparedVideo, captions: Sequence[str], candidate: Candidate) -> None:
    """Asked again with the evidence frames alone, the teacher must give the proposed answer."""
    reply = await _answer(ANSWER, teacher, video, candidate.question, candidate.evidence)
    if not await is_right(teacher, candidate.question, reply):
        raise Filtered(
            "consistency", f"from the evidence frames alone {_said(reply)}, not {candidate.question.answer!r}"
        )


async def necessity(teacher: Teacher, video: PreparedVideo, captions: Sequence[str], candidate: Candidate) -> None:
    """Asked with all frames but the evidence, the teacher must find that the question cannot be answered.

    A wrong answer is not enough, and one outside the options counts, too: it comes from another moment that the question
    fits as well. Where every frame is evidence none is left to answer from, and nothing is asked.
    """
    others = without(candidate.relevant(len(video.jpegs)))
    if not others:
        return
    reply = await _answer(COUNTERFACTUAL, teacher, video, candidate.question, others)
    if reply.answerable:
        raise Filtered(
            "necessity", f"without the evidence frames {_said(reply)}: they are not needed, or not all of them"
        )


FILTERS = (coherence, consistency, necessity)


async def check_marked_frames(
    teacher: Teacher, video: PreparedVideo, question: VideoQuestion, relevant: Sequence[bool]
) -> None:
    """The necessity check of a question that somebody else wrote; `relevant` are the frames marked for it, `[T]`.

    Without these frames the teacher must not give the right answer; a wrong one is let pass, because options invite
    guesses and the question can not be replaced. Where no answer is known it must find that there is none.
    """
    others = without(relevant)
    if not others:
        return
    reply = await _answer(COUNTERFACTUAL, teacher, video, question, others)
    if reply.answerable and (question.answer is None or await is_right(teacher, question, reply)):
        raise Filtered("necessity", f"without the {sum(relevant)} frames marked as evidence {_said(reply)}")


def without(relevant: Iterable[bool]) -> list[int]:
    """The frames that are left when the relevant ones are masked."""
    return [frame for frame, carries in enumerate(relevant) if not carries]


async def _answer(
    prompt: Prompt, teacher: Teacher, video: PreparedVideo, question: VideoQuestion, frames: Sequence[int]
) -> VideoAnswer:
    """The teacher's answer from some frames alone."""
    values = {"count": len(frames), "question": question.question, "options": options_block(question.options)}
    return await teacher.ask(prompt.fill(values), video.pictures(frames), VideoAnswer, lambda reply: reply)


def _said(reply: VideoAnswer) -> str:
    return f"the teacher says {reply.answer!r}" if reply.answerable else "the teacher finds no answer"
