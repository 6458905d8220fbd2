"""Is a reply right? An option match decides first, equal text second, and what both leave open a teacher (prompt ours)."""

from videorouter.data_builders.prompting import load_prompt
from videorouter.data_builders.replies import Judgement, VideoAnswer
from videorouter.data_builders.teacher import Teacher
from videorouter.routers.answers import letters, parse_choice
from videorouter.shards.schema import VideoQuestion

PROMPT = load_prompt("judge_answer")


async def is_right(teacher: Teacher, question: VideoQuestion, reply: VideoAnswer) -> bool:
    """Whether `reply` gives the known answer of `question`; "not answerable" and an empty answer are wrong.

    A reply that chooses one of the question's options is judged by that alone. One that chooses none, and any reply to
    a question without options, is right where it is the answer word for word; else the teacher judges the two texts.
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
    return await teacher.ask(PROMPT.fill(values), [], Judgement, lambda judgement: judgement.same)


def _plain(text: str) -> str:
    """Without case, spacing, and the quotes, emphasis and full stops around it."""
    return " ".join(text.casefold().split()).strip(" .!\"'`*_")
