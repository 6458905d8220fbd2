"""Router metrics that torchmetrics does not have."""

from torch import Tensor
from torchmetrics.functional.classification import binary_auroc, binary_calibration_error


def auroc_within_question(scores: Tensor, labels: Tensor) -> float | None:
    """Area under the ROC curve over the frames of one question; `[T]` scores and bools; None without both classes.

    Averaged over questions it is the macro-within-question AUROC. Pooling frames of many questions first would reward a
    head that only knows which questions have more evidence.
    """
    if labels.all() or not labels.any():
        return None
    return float(binary_auroc(scores, labels.long()))


def calibration_error(scores: Tensor, labels: Tensor, bins: int = 15) -> float:
    """Expected calibration error of probabilities and bools `[N]`: how far, in the mean, scores lie from their bin's share."""
    return float(binary_calibration_error(scores.float(), labels.long(), n_bins=bins))


def threshold_for_recall(scores: Tensor, labels: Tensor, wanted: float) -> float:
    """The highest threshold above which the share `wanted` of the positives lies (ours); 0.5 where there is none.

    `scores` `[N]` in 0..1, `labels` `[N]` bools. Raises `ValueError` for a share that is not above 0 and at most 1.
    """
    if not 0 < wanted <= 1:
        raise ValueError(f"recall {wanted} is no share to be found: give a number above 0, at most 1")
    positive = scores[labels].sort().values
    if not len(positive):
        return 0.5
    missed = int((1 - wanted) * len(positive) + 1e-9)
    return max(0.0, float(positive[missed]) - 1e-6)


def recall_and_precision(scores: Tensor, labels: Tensor, threshold: float) -> tuple[float, float]:
    """Recall and precision of one question's frames scored above `threshold`; `[T]` scores and bools, at least one of them true.

    Precision is 0 where no frame is.
    """
    chosen = scores > threshold
    hits = float((chosen & labels).sum())
    return hits / float(labels.sum()), hits / max(1.0, float(chosen.sum()))


def recall_among_best(scores: Tensor, labels: Tensor, count: int) -> float:
    """Share of one question's evidence among the `count` highest scores (ours); `[T]` scores and bools, at least one of them true.

    Frames of one score share the places that are left for them, so that their order decides nothing.
    """
    last = scores.sort(descending=True).values[count - 1]
    above, level = scores > last, scores == last
    places = float(count - above.sum()) / float(level.sum())
    return (float((labels & above).sum()) + places * float((labels & level).sum())) / float(labels.sum())
