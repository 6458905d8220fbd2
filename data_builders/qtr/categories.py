"""The category of every question, by the teacher, from its text alone."""

from collections.abc import Callable, Sequence

from videorouter.data_builders.prompting import load_prompt
from videorouter.data_builders.qtr.side_by_side import side_by_side
from videorouter.data_builders.rejects import Reject
from videorouter.data_builders.replies import Category, QuestionCategory
from videorouter.data_builders.teacher import Teacher, TeacherReplyError
from videorouter.shards.schema import VideoQuestion

PROMPT = load_prompt("question_category")


async def categorise(
    teacher: Teacher, questions: Sequence[VideoQuestion], finished: Callable[[VideoQuestion], None] = lambda _: None
) -> tuple[dict[str, QuestionCategory], list[Reject]]:
    """Category and reason by question id, and the questions whose replies were no category.

    `finished` hears of each question. Raises `TeacherStopped`.
    """

    async def ask(question: VideoQuestion) -> QuestionCategory | Reject:
        text = PROMPT.fill({"question": question.question, "categories": listed})
        try:
            return await teacher.ask(text, [], QuestionCategory, lambda reply: reply)
        except TeacherReplyError as error:
            return Reject(question.id, "category", error.verdict, str(error), error.raw)

    listed = "\n".join(f"- {category.value}" for category in Category)
    replies = await side_by_side(ask, questions, teacher.config.concurrency, finished)
    categories = {q.id: r for q, r in zip(questions, replies, strict=True) if isinstance(r, QuestionCategory)}
    return categories, [reply for reply in replies if isinstance(reply, Reject)]
