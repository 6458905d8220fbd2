"""Questions answered by the teacher from given frames, and answers judged (prompts ours)."""

from collections.abc import Sequence

from videorouter.data_builders.teacher.replies import Judgement, VideoAnswer
from videorouter.data_builders.teacher.request import Picture, Prompt, load_prompt, options_block
from videorouter.data_builders.teacher.teacher import Teacher
from videorouter.routers.answering.parser import parse_choice
from videorouter.routers.systems.query import letters
from videorouter.shards.schema import VideoQuestion

ANSWER = load_prompt("answer")
JUDGE = load_prompt("judge_answer")


async def answer_from(
    teacher: Teacher, question: VideoQuestion, pictures: Sequence[Picture], prompt: Prompt = ANSWER
) -> VideoAnswer:
    """The teacher's answer to a question from some frames alone. Raises as `Teacher.ask`."""
    values = {"count": len(pictures), "question": question.question, "options": options_block(question.options)}
    return await teacher.ask(prompt.fill(values), pictures, VideoAnswer, lambda reply: reply, prompt.name)


async def is_right(teacher: Teacher, question: VideoQuestion, reply: VideoAnswer) -> bool:
    """Whether `reply` gives the known answer of `question`; "not answerable" and an empty answer are wrong.

    A reply that chooses one of the question's options is judged by that alone. One that chooses none, and any reply to
    a question without options, is right where it is the answer word for word; otherwise the teacher judges the two texts.
    Raises `ValueError` for a question without a known answer, and as `Teacher.ask`.
    """
    if question.answer is None:
        raise ValueError(f"question {question.id} has no known answer to judge a reply by")
    given = _plain(reply.answer)
    if not reply.answerable or not given:
        return False
    if question.options:
        choice = parse_choice(reply.answer, question.options)
        if choice is not None:
            return choice == letters(question.options)[question.options.index(question.answer)]
    if given == _plain(question.answer):
        return True
    values = {"question": question.question, "answer": question.answer, "reply": " ".join(reply.answer.split())}
    return await teacher.ask(JUDGE.fill(values), [], Judgement, lambda judgement: judgement.same, JUDGE.name)


def _plain(text: str) -> str:
    """Without case, spacing, and the quotes, emphasis and full stops around it."""
    return " ".join(text.casefold().split()).strip(" .!\"'`*_")
