"""Which questions are probed: those with answers, spread evenly over each category."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from videorouter.data_builders.jobs import UNSPLIT
from videorouter.data_builders.replies import Category, QuestionCategory
from videorouter.shards.schema import VideoQuestion


def to_probe(
    questions: Sequence[VideoQuestion],
    categories: Mapping[str, QuestionCategory],
    per_category: int,
    every_split: bool = False,
) -> dict[str, list[VideoQuestion]]:
    """At most `per_category` questions a category by video, from the training split alone or as many from every split."""
    groups: dict[tuple[str, Category], list[VideoQuestion]] = defaultdict(list)
    for question in questions:
        wanted = every_split or is_for_training(question)
        if wanted and question.answer is not None and question.id in categories:
            groups[question.split or UNSPLIT, categories[question.id].category].append(question)
    chosen: dict[str, list[VideoQuestion]] = defaultdict(list)
    for members in groups.values():
        count = min(per_category, len(members))
        for position in range(count):
            question = members[position * len(members) // count]
            chosen[question.video].append(question)
    return chosen


def is_for_training(question: VideoQuestion) -> bool:
    """Whether it may take part in a category's decision: held-out questions never do."""
    return (question.split or UNSPLIT) == UNSPLIT
