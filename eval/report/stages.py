"""Seconds by stage as bars: widths in % of the slowest row, a colour and a pattern for every stage."""

from typing import NamedTuple

from videorouter.eval.report.cells import CellFigures
from videorouter.eval.report.gathered import Gathered


class Part(NamedTuple):
    """One stage of a bar; `look` counts the patterns of page.css."""

    stage: str
    look: int
    seconds: float
    width: float


def stage_names(figures: CellFigures) -> list[str]:
    """In the order they happen."""
    return list(dict.fromkeys(stage for row in figures.rows for stage in row.summary.seconds_by_stage))


def stage_bars(figures: CellFigures, gathered: Gathered) -> list[tuple[str, float, list[Part]]]:
    """Name, seconds in total and parts of every row."""
    names, slowest = stage_names(figures), max(row.seconds for row in figures.rows) or 1.0
    return [
        (
            gathered.said(row.contender),
            row.seconds,
            [
                Part(stage, names.index(stage), seconds, 100 * seconds / slowest)
                for stage, seconds in row.summary.seconds_by_stage.items()
            ],
        )
        for row in figures.rows
    ]
