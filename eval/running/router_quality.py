"""How good the routers themselves are, against the ground truth of a benchmark that has it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from rich.markup import escape
from rich.progress import Progress

from videorouter.eval.benchmarks.items import Item
from videorouter.eval.running.runner import Runner
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.routing.metrics import auroc_within_question, recall_and_precision


@dataclass(frozen=True)
class RouterQuality:
    """Figures on one split.

    `image_auroc`, `image_recall`, `image_precision`: macro means over fragment questions, never pooled over questions.
    `policy_accuracy`: share of questions whose policy is right.
    """

    split: str
    questions: int
    fragment_questions: int
    policy_accuracy: float
    image_auroc: float
    image_recall: float
    image_precision: float


@torch.no_grad()
def measure(router: VideoRouter, items: Sequence[Item], split: str, progress: Progress) -> RouterQuality:
    """Route every item and compare with its truth. Raises `ValueError` where no fragment question is among them."""
    runner = Runner(router, "likelihood")
    task = progress.add_task(escape(f"router quality on {split}"), total=len(items))
    right, areas, recalls, precisions = 0, [], [], []
    for _, group in groupby(items, key=lambda item: item.video):
        questions = list(group)
        watched = runner.watch(questions[0])
        relevance = router.frame_relevance(watched.all_tokens, [item.question for item in questions], watched.grid)
        for item, scores in zip(questions, relevance, strict=True):
            progress.advance(task)
            probabilities = router.policy_probabilities(item.question)
            truth = runner.query(item, watched).truth
            assert truth is not None
            right += max(probabilities, key=lambda policy: probabilities[policy]) == truth.policy
            labels = torch.tensor(truth.relevant)
            area = auroc_within_question(scores.cpu(), labels) if truth.policy == "fragment" else None
            if area is not None:
                recall, precision = recall_and_precision(scores.cpu(), labels, router.config.threshold)
                areas.append(area)
                recalls.append(recall)
                precisions.append(precision)
    if not areas:
        raise ValueError(f"no fragment question with evidence among the {len(items)} questions of split {split!r}")
    return RouterQuality(
        split, len(items), len(areas), right / len(items), _mean(areas), _mean(recalls), _mean(precisions)
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
