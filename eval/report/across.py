"""One table over all budgets of a benchmark, made only where mixing them was asked for."""

from videorouter.eval.report.cells import CellFigures
from videorouter.eval.report.gathered import Contender, Gathered
from videorouter.eval.report.written import ABSENT, interval, percent


def across_budgets(figures: list[CellFigures], gathered: Gathered) -> dict[str, tuple[list[str], list[list[str]]]]:
    """By benchmark with several cells: heads and rows, accuracy (interval) at tokens fed in every cell."""
    tables = {}
    for benchmark in dict.fromkeys(own.cell.benchmark for own in figures):
        those = [own for own in figures if own.cell.benchmark == benchmark]
        if len(those) > 1:
            heads = ["system", *(f"{own.cell.frames} frames, cap {own.cell.cap:,}" for own in those)]
            contenders = sorted({row.contender for own in those for row in own.rows})
            tables[benchmark] = (heads, [[gathered.said(c), *(_cell(own, c) for own in those)] for c in contenders])
    return tables


def _cell(figures: CellFigures, contender: Contender) -> str:
    found = [row.summary for row in figures.rows if row.contender == contender]
    return f"{percent(found[0].accuracy)} ({interval(found[0])}) at {found[0].tokens_mean:,.0f}" if found else ABSENT
