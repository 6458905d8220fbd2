"""Figures of a set of predictions: accuracy with an interval over videos, tokens, stage times; differences between two sets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from videorouter.eval.run_folder import Prediction

RESAMPLES = 2_000
TOLERANCE = 0.01
"""How far apart mean fed tokens of equal budgets may lie."""


@dataclass(frozen=True)
class Summary:
    """One system's row.

    Accuracies in 0..1 with a 95 % interval, and `chance`, what guessing an option would reach; tokens a question,
    NaN where some question's are not known; seconds a question by stage, those that are known of all.
    """

    system: str
    items: int
    accuracy: float
    low: float
    high: float
    chance: float
    accuracy_by_group: dict[str, float]
    tokens_mean: float
    tokens_p95: float
    seconds_by_stage: dict[str, float]
    unparsed: int


def summarise(predictions: Sequence[Prediction], seed: int = 0) -> Summary:
    """Summarise one system's predictions. Raises `ValueError` for none or for several systems at once."""
    systems = {prediction.system for prediction in predictions}
    if len(systems) != 1:
        raise ValueError(f"one system's predictions are needed, got those of {sorted(systems) or 'none'}")
    correct = np.array([prediction.correct for prediction in predictions])
    tokens = [prediction.tokens for prediction in predictions if prediction.tokens is not None]
    known = len(tokens) == len(predictions)
    low, high = bootstrap_interval(correct, [prediction.video for prediction in predictions], seed)
    groups = sorted({prediction.group for prediction in predictions})
    stages = [s for s in predictions[0].seconds_by_stage if all(s in p.seconds_by_stage for p in predictions)]
    return Summary(
        system=systems.pop(),
        items=len(predictions),
        accuracy=float(correct.mean()),
        low=low,
        high=high,
        chance=float(np.mean([1 / prediction.options for prediction in predictions])),
        accuracy_by_group={
            group: float(np.mean([p.correct for p in predictions if p.group == group])) for group in groups
        },
        tokens_mean=float(np.mean(tokens)) if known else float("nan"),
        tokens_p95=float(np.percentile(tokens, 95)) if known else float("nan"),
        seconds_by_stage={stage: float(np.mean([p.seconds_by_stage[stage] for p in predictions])) for stage in stages},
        unparsed=sum(prediction.choice is None for prediction in predictions),
    )


def check_equal(tokens_by_system: Mapping[str, Sequence[int]], reference: str) -> None:
    """Raise `ValueError` unless every system's mean fed tokens lie within 1 % of the reference system's."""
    means = {name: sum(tokens) / len(tokens) for name, tokens in tokens_by_system.items()}
    wanted = means[reference]
    unequal = {name: mean for name, mean in means.items() if abs(mean - wanted) > TOLERANCE * wanted}
    if unequal:
        found = ", ".join(f"{name} {mean:.1f}" for name, mean in unequal.items())
        raise ValueError(
            f"systems compared at unequal budgets: {reference} fed {wanted:.1f} tokens a question, {found}. "
            "Sample more frames so that every system can spend the budget, or compare fewer systems"
        )


@dataclass(frozen=True)
class Difference:
    """Accuracy of one system minus another's on the same items, with its 95 % interval over videos."""

    mean: float
    low: float
    high: float


def paired_difference(first: Sequence[Prediction], second: Sequence[Prediction], seed: int = 0) -> Difference:
    """`first` minus `second`. Raises `ValueError` where they did not answer the same items in the same order."""
    if [prediction.item for prediction in first] != [prediction.item for prediction in second]:
        raise ValueError("only predictions for the same items, in the same order, can be paired")
    values = np.array([float(a.correct) - float(b.correct) for a, b in zip(first, second, strict=True)])
    low, high = bootstrap_interval(values, [prediction.video for prediction in first], seed)
    return Difference(float(values.mean()), low, high)


def kept_share(system: Sequence[Prediction], whole: Sequence[Prediction], seed: int = 0) -> Difference:
    """What share of `whole`'s accuracy `system` keeps, with its 95 % interval over videos. Raises as `paired_difference`."""
    if [prediction.item for prediction in system] != [prediction.item for prediction in whole]:
        raise ValueError("only predictions for the same items, in the same order, can be paired")
    values = np.array([[p.correct for p in system], [p.correct for p in whole]], dtype=float)
    means = resampled_means(values, [prediction.video for prediction in system], seed)
    with np.errstate(divide="ignore", invalid="ignore"):  # nothing right in a draw: its share is not known
        low, high = np.nanpercentile(means[0] / means[1], [2.5, 97.5])
        return Difference(float(values[0].mean() / values[1].mean()), float(low), float(high))


def macro_average(predictions: Sequence[Prediction], seed: int = 0) -> Difference:
    """MLVU's other average: the mean over groups of their accuracies, all alike however many questions they have.

    In 0..1, with its 95 % interval over videos; groups that are missing from a draw are left out of its mean.
    """
    groups = np.array([prediction.group for prediction in predictions])
    correct = np.array([prediction.correct for prediction in predictions], dtype=float)
    members = [groups == name for name in np.unique(groups)]
    rows = np.array([row for own in members for row in (correct * own, own.astype(float))])
    drawn = resampled_means(rows, [prediction.video for prediction in predictions], seed)
    with np.errstate(invalid="ignore"):  # a group of which no video was drawn
        low, high = np.percentile(np.nanmean(drawn[0::2] / drawn[1::2], axis=0), [2.5, 97.5])
    return Difference(float(np.mean([correct[own].mean() for own in members])), float(low), float(high))


def bootstrap_interval(values: np.ndarray, clusters: Sequence[str], seed: int = 0) -> tuple[float, float]:
    """95 % percentile interval of the mean of `values` `[N]`, resampling whole clusters (videos) with replacement."""
    low, high = np.percentile(resampled_means(values[None], clusters, seed)[0], [2.5, 97.5])
    return float(low), float(high)


def resampled_means(values: np.ndarray, clusters: Sequence[str], seed: int = 0) -> np.ndarray:
    """`[K, RESAMPLES]` means of the rows of `values` `[K, N]`, each row under the same draws of whole clusters (videos)."""
    names, members = np.unique(np.asarray(clusters), return_inverse=True)
    sums = np.stack([np.bincount(members, weights=row.astype(float), minlength=len(names)) for row in values])
    sizes = np.bincount(members, minlength=len(names))
    drawn = np.random.default_rng(seed).integers(len(names), size=(RESAMPLES, len(names)))
    return sums[:, drawn].sum(axis=2) / sizes[drawn].sum(axis=1)
