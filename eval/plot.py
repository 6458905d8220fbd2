"""Accuracy against tokens, as a picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from videorouter.eval.statistics import Summary


def accuracy_against_tokens(summaries: Sequence[Summary], references: Sequence[str], path: Path) -> None:
    """Write a PNG: one point a system with its 95 % interval, references hollow, the level of guessing dotted.

    Systems at equal tokens would cover each other: they stand side by side, in the order of the legend.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    for summary, position, marker, colour in zip(
        summaries, _side_by_side(summaries), _MARKERS * 3, _COLOURS * 3, strict=False
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


@dataclass(frozen=True)
class Curve:
    """One system in one panel: points of (tokens, accuracy, low, high)."""

    system: str
    panel: str
    points: Sequence[tuple[float, float, float, float]]


def accuracy_curves(
    curves: Sequence[Curve],
    path: Path,
    *,
    mark: tuple[float, str],
    guessing: Mapping[str, float],
    title: str,
    in_a_row: int = 6,
) -> None:
    """Write a PNG with a panel for each key of `guessing`: accuracy against mean tokens, `mark` a labelled vertical line.

    A system with a single point (one without a budget) is drawn as a level, too.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(
        1, len(guessing), figsize=(4.6 * len(guessing), 4.6), sharey=True, layout="constrained", squeeze=False
    )
    systems = list(dict.fromkeys(curve.system for curve in curves))
    for axes, (panel, level) in zip(panels[0], guessing.items(), strict=True):
        for curve in (curve for curve in curves if curve.panel == panel and curve.points):
            place = systems.index(curve.system)
            colour, marker = _COLOURS[place % len(_COLOURS)], _MARKERS[place % len(_MARKERS)]
            tokens, middles, lows, highs = zip(*sorted(curve.points), strict=True)
            if len(curve.points) == 1:
                axes.axhline(100 * middles[0], color=colour, linestyle="--", linewidth=1)
            axes.errorbar(
                tokens,
                [100 * value for value in middles],
                yerr=[
                    [100 * (m - low) for m, low in zip(middles, lows, strict=True)],
                    [100 * (high - m) for m, high in zip(middles, highs, strict=True)],
                ],
                fmt=f"{_LINES[place // len(_COLOURS) % len(_LINES)]}{marker}",
                color=colour,
                markersize=7,
                capsize=3,
                label=curve.system,
            )
        axes.axhline(100 * level, color="gray", linestyle=":", label="guessing")
        axes.axvline(mark[0], color="gray", linewidth=1)
        axes.annotate(mark[1], (mark[0], 2), xytext=(4, 0), textcoords="offset points", color="dimgray", fontsize=9)
        axes.set_title(panel)
        axes.set_xlabel("visual tokens fed per question (mean)")
        axes.set_xlim(left=0)
        axes.set_ylim(0, 100)
        axes.grid(alpha=0.3)
    panels[0][0].set_ylabel("accuracy, %")
    shown = {
        label: handle for axes in panels[0] for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=in_a_row, frameon=False)
    figure.suptitle(title)
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
_MARKERS = "osD^vPX*"
_LINES = ("-", "--", ":")
