"""The two pictures of a benchmark at one number of frames: accuracy against tokens, and against seconds, over all caps."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from videorouter.eval.report.apart import could_be_used
from videorouter.eval.report.cells import CellFigures, Row
from videorouter.eval.report.gathered import Gathered
from videorouter.eval.report.marks import Mark, mark
from videorouter.eval.report.scatter import Point, scatter


@dataclass(frozen=True)
class Plotted:
    """Two SVGs and the legend that belongs to both: name, mark."""

    title: str
    tokens: str
    seconds: str
    legend: list[tuple[str, Mark]]


def marks(figures: Sequence[CellFigures], gathered: Gathered) -> dict[str, Mark]:
    """By the contender's name; the same in every plot of the page."""
    apart = {row.contender: row.apart for own in figures for row in own.rows}
    return {gathered.said(c): mark(place, apart[c]) for place, c in enumerate(gathered.contenders)}


def plots(figures: Sequence[CellFigures], gathered: Gathered, reference: str) -> list[Plotted]:
    """One for every benchmark and number of frames sampled."""
    looks, made = marks(figures, gathered), []
    for benchmark, frames in dict.fromkeys(own.cell[:2] for own in figures):
        those = [own for own in figures if own.cell[:2] == (benchmark, frames)]
        rows = [(own, row) for own in those for row in own.rows]
        names = dict.fromkeys(gathered.said(row.contender) for _, row in rows)
        guessing = rows[0][1].summary.chance
        tokens = [
            _point(own, row, gathered, looks, row.summary.tokens_mean, _level(own, row, reference))
            for own, row in rows
            if not math.isnan(row.summary.tokens_mean)
        ]
        seconds = [
            _point(own, row, gathered, looks, row.seconds, row.seconds)
            for own, row in rows
            if row.summary.seconds_by_stage
        ]
        title = f"{benchmark}, {frames} frames sampled"
        said = f"of {len(names)} systems on {title}; the tables hold the same figures"
        made.append(
            Plotted(
                title,
                scatter(
                    tokens, "visual tokens a question, mean", f"Accuracy against tokens {said}", guessing, digits=1
                ),
                scatter(
                    seconds, "seconds a question, all stages", f"Accuracy against seconds {said}", guessing, digits=2
                ),
                [(name, looks[name]) for name in names],
            )
        )
    return made


def _level(own: CellFigures, row: Row, reference: str) -> float:
    """Tokens within 1 % of the reference's are the reference's: a hair's breadth of tokens puts nothing on the front."""
    for other in own.rows:
        if row.equal and other.contender == (row.contender.model, reference):
            return other.summary.tokens_mean
    return row.summary.tokens_mean


def _point(own: CellFigures, row: Row, gathered: Gathered, looks: dict[str, Mark], cost: float, level: float) -> Point:
    name, found = gathered.said(row.contender), row.summary
    label = f"{name}, cap {own.cell.cap:,}"
    real = could_be_used(row.contender.system)
    return Point(label, name, looks[name], cost, level, found.accuracy, found.low, found.high, real)
