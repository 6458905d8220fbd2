"""How good an Image Router's scores are over a whole validation, all ranks together, and the threshold that follows (ours)."""

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics import MeanMetric, MetricCollection

from videorouter.routers.routing.metrics import auroc_within_question, calibration_error, threshold_for_recall
from videorouter.train.data.steps import Counts
from videorouter.train.validation.validation_scores import ValidationScores

MAX_POSITIVE_WEIGHT = 5.0


def relevance_loss(logits: Tensor, labels: Tensor, of_step: Counts) -> Tensor:
    """These pairs' part of the step's mean BCE over frames, with `pos_weight = min(5, sqrt(neg / max(1, pos)))` of the step (ours).

    Logits and labels `[pairs, T]`.
    """
    weight = min(MAX_POSITIVE_WEIGHT, (of_step.irrelevant / max(1, of_step.relevant)) ** 0.5)
    total = functional.binary_cross_entropy_with_logits(
        logits.float(), labels.float(), pos_weight=torch.tensor(weight, device=logits.device), reduction="sum"
    )
    return total / max(1, of_step.frames)


class RelevanceValidation(nn.Module):
    """Collects logits and labels; `results` gives the figures in `NAMES`."""

    NAMES: Final = ("loss", "auroc", "accuracy", "recall", "calibration_error", "threshold")

    def __init__(self) -> None:
        super().__init__()
        means = {name: MeanMetric() for name in ("loss", "auroc", "accuracy", "recall")}
        self.means = MetricCollection(means, compute_groups=False)  # type: ignore[arg-type]
        self.scores = ValidationScores()

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Add (video, question) pairs: logits and bools `[pairs, T]`."""
        counts = Counts(relevant=int(labels.sum()), irrelevant=int((~labels).sum()))
        self.means["loss"].update(relevance_loss(logits, labels, counts), len(logits))
        predicted = logits > 0
        self.means["accuracy"].update((predicted == labels).float())
        self.scores.update(logits.sigmoid(), labels)
        for row_logits, row_predicted, row_labels in zip(logits, predicted, labels, strict=True):
            area = auroc_within_question(row_logits, row_labels)
            if area is not None:
                self.means["auroc"].update(area)
                self.means["recall"].update(row_predicted[row_labels].float())

    def results(self, recall_wanted: float) -> dict[str, float]:
        """All figures, ranks together, and begin anew; `threshold` finds the share `recall_wanted` of the evidence.

        Nothing where no rank had a pair.
        """
        nothing = torch.empty(0, device=self.scores.device)
        self.scores.update(nothing, nothing.bool())  # a rank that had none takes part in the exchange all the same
        (scores, labels), means = self.scores.compute(), self.means.compute()
        self.scores.reset()
        self.means.reset()
        if not len(scores):
            return {}
        found = {name: float(value) for name, value in means.items()}
        threshold = threshold_for_recall(scores, labels, recall_wanted)
        return found | {"calibration_error": float(calibration_error(scores, labels)), "threshold": threshold}
