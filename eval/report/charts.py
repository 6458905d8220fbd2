"""The charts of the page: accuracy against tokens and seconds, accuracy by group as a heat map, seconds by stage as bars."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from videorouter.eval.report.figures import CellFigures, Row
from videorouter.eval.report.joined_runs import JoinedRuns
from videorouter.eval.report.scatter import Mark, Point, mark, scatter
from videorouter.eval.report.tables import interval, percent


@dataclass(frozen=True)
class Plotted:
    """Two SVGs, and the legend of both: name, mark."""

    title: str
    tokens: str
    seconds: str
    legend: list[tuple[str, Mark]]


def marks(figures: Sequence[CellFigures], joined: JoinedRuns) -> dict[str, Mark]:
    """Each contender's mark, by its label; the same in every plot of the page."""
    apart = {row.contender: row.apart for own in figures for row in own.rows}
    return {joined.label(c): mark(place, apart[c]) for place, c in enumerate(joined.contenders)}


def plots(figures: Sequence[CellFigures], joined: JoinedRuns, reference: str) -> list[Plotted]:
    """Accuracy against tokens and against seconds over all caps, for every benchmark and number of frames sampled."""
    styles, made = marks(figures, joined), []
    for benchmark, frames in dict.fromkeys(own.cell[:2] for own in figures):
        those = [own for own in figures if own.cell[:2] == (benchmark, frames)]
        rows = [(own, row) for own in those for row in own.rows]
        names = dict.fromkeys(joined.label(row.contender) for _, row in rows)
        guessing = rows[0][1].summary.chance
        tokens = [
            _point(own, row, joined, styles, row.summary.tokens_mean, _level(own, row, reference))
            for own, row in rows
            if not math.isnan(row.summary.tokens_mean)
        ]
        seconds = [
            _point(own, row, joined, styles, row.seconds, row.seconds)
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
                [(name, styles[name]) for name in names],
            )
        )
    return made


class HeatCell(NamedTuple):
    """`shade` in %, of the map's own range from guessing to everything right."""

    group: str
    value: str
    interval: str
    shade: int


def heat_map(
    figures: CellFigures, groups: dict[str, list[Row]], joined: JoinedRuns
) -> list[tuple[str, list[HeatCell | None]]]:
    """Accuracy by group, printed and as a shade: one row a contender, in the order of the cell's table; None without answers."""
    rows = []
    for row in figures.rows:
        found = {group: own for group, those in groups.items() for own in those if own.contender == row.contender}
        rows.append((joined.label(row.contender), [_heat_cell(group, found.get(group)) for group in groups]))
    return rows


class Part(NamedTuple):
    """One stage of a bar: `pattern` counts the patterns of page.css, `width` is in % of the slowest row."""

    stage: str
    pattern: int
    seconds: float
    width: float


def stage_names(figures: CellFigures) -> list[str]:
    """All stages of a cell, in the order in which they happen."""
    return list(dict.fromkeys(stage for row in figures.rows for stage in row.summary.seconds_by_stage))


def stage_bars(figures: CellFigures, joined: JoinedRuns) -> list[tuple[str, float, list[Part]]]:
    """Label, seconds in total and stages of every row."""
    names, slowest = stage_names(figures), max(row.seconds for row in figures.rows) or 1.0
    return [
        (
            joined.label(row.contender),
            row.seconds,
            [
                Part(stage, names.index(stage), seconds, 100 * seconds / slowest)
                for stage, seconds in row.summary.seconds_by_stage.items()
            ],
        )
        for row in figures.rows
    ]


def _level(own: CellFigures, row: Row, reference: str) -> float:
    """The tokens to compare at: the reference's where they are within 1 %, so that a tiny difference does not count."""
    for other in own.rows:
        if row.equal and other.contender == (row.contender.model, reference):
            return other.summary.tokens_mean
    return row.summary.tokens_mean


def _point(own: CellFigures, row: Row, joined: JoinedRuns, styles: dict[str, Mark], cost: float, level: float) -> Point:
    name, found = joined.label(row.contender), row.summary
    label = f"{name}, cap {own.cell.cap:,}"
    return Point(label, name, styles[name], cost, level, found.accuracy, found.low, found.high, row.real)


def _heat_cell(group: str, row: Row | None) -> HeatCell | None:
    if row is None:
        return None
    found = row.summary
    shade = round(100 * max(0.0, found.accuracy - found.chance) / (1 - found.chance)) if found.chance < 1 else 0
    return HeatCell(group, percent(found.accuracy), interval(found), shade)
