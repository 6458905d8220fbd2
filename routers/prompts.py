"""The text that follows the frames: question, options, how to answer. One place for training, evaluation and use."""

from typing import TYPE_CHECKING

from videorouter.routers.answers import lettered

if TYPE_CHECKING:  # systems write prompts too
    from videorouter.routers.systems.query import Query

ANSWER_WITH_LETTER = "Answer with the option's letter only."


def question_text(query: "Query") -> str:
    """The text that a query brings; else the question alone, or with its lettered options and the wish for one letter."""
    if query.text is not None:
        return query.text
    if not query.options:
        return query.question
    return "\n".join([query.question, "Options:", *lettered(query.options), ANSWER_WITH_LETTER])
