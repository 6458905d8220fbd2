"""Figures as every table writes them: accuracies in %, differences in points, tokens, seconds."""

import math

from videorouter.eval.report.cells import CellFigures, Row
from videorouter.eval.report.gathered import Gathered
from videorouter.eval.statistics import Difference, Summary

ABSENT = "–"

UNKNOWN = "?"
"""Of what another toolkit did not write down."""


def percent(value: float) -> str:
    return f"{100 * value:.1f}"


def interval(of: Summary | Difference) -> str:
    """95 %, of an accuracy."""
    return f"{percent(of.low)}–{percent(of.high)}"


def points(difference: Difference | None) -> str:
    """Signed, with its interval."""
    if difference is None:
        return ABSENT
    return f"{_signed(difference.mean)} ({_signed(difference.low)} to {_signed(difference.high)})"


def _signed(value: float) -> str:
    return f"{round(100 * value, 1) + 0.0:+.1f}"  # + 0.0: no minus before nothing


def header(figures: CellFigures, reference: str) -> list[str]:
    """Column heads of a cell's table; `cells` gives a row under them."""
    both = ["macro average, %"] if any(row.macro for row in figures.rows) else []
    accuracy = "micro average, %" if both else "accuracy, %"
    head = ["system", "questions", accuracy, "95 % interval", *both, f"minus {reference}, points"]
    return [*head, "tokens, mean", "tokens, p95", "seconds", "unparsed", "failed"]


def cells(row: Row, gathered: Gathered) -> list[str]:
    """One contender's row under `header`."""
    summary = row.summary
    macro = [f"{percent(row.macro.mean)} ({interval(row.macro)})"] if row.macro else []
    known = not math.isnan(summary.tokens_mean)
    unequal = "" if row.equal or row.apart or not known else " ≠"
    return [
        gathered.said(row.contender),
        str(summary.items),
        percent(summary.accuracy),
        interval(summary),
        *macro,
        points(row.difference),
        f"{summary.tokens_mean:,.1f}{unequal}" if known else UNKNOWN,
        f"{summary.tokens_p95:,.0f}" if known else UNKNOWN,
        f"{row.seconds:.2f}" if summary.seconds_by_stage else UNKNOWN,
        str(summary.unparsed),
        str(row.failed),
    ]


def caption(figures: CellFigures) -> str:
    """What a cell's table says below its title."""
    guessing = percent(figures.rows[0].summary.chance)
    unequal = any(not row.equal and not row.apart for row in figures.rows)
    return (
        f"{figures.videos} videos; guessing reaches {guessing} %; intervals of 95 % resample whole videos, differences pair "
        "the questions that both answered" + ("; ≠ was fed other tokens than the reference" if unequal else "")
    )
