"""MLVU's other average: the mean over tasks of their accuracies, all tasks alike however many questions they have."""

from collections.abc import Sequence

import numpy as np

from videorouter.eval.predictions import Prediction
from videorouter.eval.statistics import Difference, resampled_means


def macro_average(predictions: Sequence[Prediction], seed: int = 0) -> Difference:
    """Mean over groups of accuracy, 0..1, with its 95 % interval over videos; a draw's missing groups are left out of it."""
    groups = np.array([prediction.group for prediction in predictions])
    correct = np.array([prediction.correct for prediction in predictions], dtype=float)
    members = [groups == name for name in np.unique(groups)]
    rows = np.array([row for own in members for row in (correct * own, own.astype(float))])
    drawn = resampled_means(rows, [prediction.video for prediction in predictions], seed)
    with np.errstate(invalid="ignore"):  # a group of which no video was drawn
        low, high = np.percentile(np.nanmean(drawn[0::2] / drawn[1::2], axis=0), [2.5, 97.5])
    return Difference(float(np.mean([correct[own].mean() for own in members])), float(low), float(high))
