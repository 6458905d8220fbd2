"""The category of every question, by the teacher, from its text alone."""

import asyncio
from collections.abc import Sequence

from data_builders.prompting import load_prompt
from data_builders.rejects import Reject
from data_builders.replies import Category, QuestionCategory
from data_builders.teacher import Teacher, TeacherReplyError
from shards.schema import VideoQuestion

PROMPT = load_prompt("question_category")


async def categorise(teacher: Teacher, questions: Sequence[VideoQuestion]) -> tuple[dict[str, Category], list[Reject]]:
    """Category by question id, and the questions whose replies were no category. Raises `TeacherUnavailable`."""
    outcomes = await asyncio.gather(*(_categorise(teacher, question) for question in questions))
    categories = {q.id: o for q, o in zip(questions, outcomes, strict=True) if isinstance(o, Category)}
    return categories, [outcome for outcome in outcomes if isinstance(outcome, Reject)]


async def _categorise(teacher: Teacher, question: VideoQuestion) -> Category | Reject:
    listed = "\n".join(f"- {category.value}" for category in Category)
    text = PROMPT.fill({"question": question.question, "categories": listed})
    try:
        return await teacher.ask(text, [], QuestionCategory, lambda reply: reply.category)
    except TeacherReplyError as error:
        return Reject(question.id, "category", error.verdict, str(error), error.raw)
