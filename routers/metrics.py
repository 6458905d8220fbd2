"""Router metrics that torchmetrics does not have."""

from torch import Tensor
from torchmetrics.functional.classification import binary_auroc


def auroc_within_question(scores: Tensor, labels: Tensor) -> float | None:
    """Area under the ROC curve over the frames of one question; `[T]` scores and bools; None without both classes.

    Averaged over questions it is the macro-within-question AUROC. Pooling frames of many questions first would reward a
    head that only knows which questions have more evidence.
    """
    if labels.all() or not labels.any():
        return None
    return float(binary_auroc(scores, labels.long()))
