"""Groups by systems as a map: the accuracy is printed in every cell, the shade repeats it."""

from typing import NamedTuple

from videorouter.eval.report.cells import CellFigures, Row
from videorouter.eval.report.gathered import Gathered
from videorouter.eval.report.written import interval, percent


class HeatCell(NamedTuple):
    """`shade` in %, of the map's own range from guessing to everything right."""

    group: str
    value: str
    interval: str
    shade: int


def heat_map(
    figures: CellFigures, groups: dict[str, list[Row]], gathered: Gathered
) -> list[tuple[str, list[HeatCell | None]]]:
    """A row a contender, in the order of the cell's table; None where a group was not answered."""
    rows = []
    for row in figures.rows:
        found = {group: own for group, those in groups.items() for own in those if own.contender == row.contender}
        rows.append((gathered.said(row.contender), [_cell(group, found.get(group)) for group in groups]))
    return rows


def _cell(group: str, row: Row | None) -> HeatCell | None:
    if row is None:
        return None
    found = row.summary
    shade = round(100 * max(0.0, found.accuracy - found.chance) / (1 - found.chance)) if found.chance < 1 else 0
    return HeatCell(group, percent(found.accuracy), interval(found), shade)
