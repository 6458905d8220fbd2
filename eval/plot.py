"""Accuracy against tokens, as a picture."""

from collections.abc import Sequence
from pathlib import Path

from eval.statistics import Summary


def accuracy_against_tokens(summaries: Sequence[Summary], references: Sequence[str], path: Path) -> None:
    """Write a PNG: one point a system with its 95 % interval, references hollow, the level of guessing dotted.

    Systems at equal tokens would cover each other: they stand side by side, in the order of the legend.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    markers = "osD^vPX*"
    for summary, position, marker, colour in zip(
        summaries, _side_by_side(summaries), markers * 3, _COLOURS * 3, strict=False
    ):
        hollow = summary.system in references
        axes.errorbar(
            position,
            100 * summary.accuracy,
            yerr=[[100 * (summary.accuracy - summary.low)], [100 * (summary.high - summary.accuracy)]],
            fmt=marker,
            color=colour,
            markerfacecolor="white" if hollow else colour,
            markersize=9,
            capsize=4,
            label=summary.system + (" (reference)" if hollow else ""),
        )
    axes.axhline(100 * summaries[0].chance, color="gray", linestyle=":", label="guessing")
    axes.set_xlabel("visual tokens fed per question (mean)")
    axes.set_ylabel("accuracy, %")
    axes.set_title(f"{summaries[0].items} questions, 95 % intervals over videos")
    axes.set_xlim(left=0, right=1.08 * max(summary.tokens_mean for summary in summaries))
    axes.set_ylim(0, 100)
    axes.grid(alpha=0.3)
    axes.legend(loc="best", frameon=False)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def _side_by_side(summaries: Sequence[Summary]) -> list[float]:
    """Mean tokens, moved apart by 2 % of the axis where they are closer than that."""
    gap = 0.02 * max(summary.tokens_mean for summary in summaries)
    positions: list[float] = []
    for summary in summaries:
        close = [position for position in positions if abs(position - summary.tokens_mean) < gap * len(summaries)]
        positions.append(max([summary.tokens_mean, *(position + gap for position in close)]))
    return positions


# Okabe and Ito's palette: distinguishable with any colour vision.
_COLOURS = ["#000000", "#E69F00", "#56B4E9", "#009E73", "#D55E00", "#CC79A7", "#0072B2", "#F0E442"]
