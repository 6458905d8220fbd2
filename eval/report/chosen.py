"""Which questions are looked at one by one: those that systems disagree about, from every group in turn."""

from collections import defaultdict
from itertools import zip_longest

from videorouter.eval.items import Item
from videorouter.eval.predictions import Prediction
from videorouter.eval.report.gathered import Gathered


def chosen_questions(gathered: Gathered, count: int) -> list[tuple[str, Item]]:
    """At most `count` questions with their benchmark, a pure function of the answers: group by group in turn, the most
    divided first, then in the order of the benchmark."""
    answers: dict[tuple[str, str], list[Prediction]] = defaultdict(list)
    for made in gathered.answers.values():
        for predictions in made.values():
            for prediction in predictions:
                answers[prediction.benchmark, prediction.item].append(prediction)
    groups: dict[tuple[str, str], list[tuple[str, Item]]] = defaultdict(list)
    for benchmark, items in gathered.items.items():
        for item in items.values():
            if (benchmark, item.id) in answers:
                groups[benchmark, item.group].append((benchmark, item))
    queues = [
        sorted(those, key=lambda one: -_division(answers[one[0], one[1].id])) for _, those in sorted(groups.items())
    ]
    return [one for turn in zip_longest(*queues) for one in turn if one is not None][:count]


def _division(answers: list[Prediction]) -> float:
    """0 where all are right or all wrong, highest where half of them are."""
    right = sum(answer.correct for answer in answers) / len(answers)
    return right * (1 - right)
