"""`tables.md`: every table for a README or an issue."""

from collections.abc import Iterable, Sequence

from videorouter.eval.report.across import across_budgets
from videorouter.eval.report.cells import CellFigures, Row
from videorouter.eval.report.gathered import Gathered
from videorouter.eval.report.routing_tables import router_tables
from videorouter.eval.report.written import ABSENT, caption, cells, header, interval, percent


def markdown(figures: list[CellFigures], gathered: Gathered, reference: str, mix_budgets: bool) -> str:
    """The text of the file. The same runs give the same bytes."""
    parts = []
    for own in figures:
        parts += [f"## {own.title}", f"{caption(own)}."]
        for apart, title in ((False, "Compared"), (True, "References")):
            rows = [cells(row, gathered) for row in own.rows if row.apart is apart]
            parts += [f"{title}:", _table(header(own, reference), rows)] if rows else []
        for dimension, groups in own.groups.items():
            parts += [f"Accuracy by {dimension}, % (interval):", _groups(own, groups, gathered)]
    for benchmark, (heads, rows) in across_budgets(figures, gathered).items() if mix_budgets else ():
        parts += [f"## {benchmark} across budgets", "Accuracy, % (interval), at mean tokens.", _table(heads, rows)]
    for benchmark, tables in router_tables(figures, gathered).items():
        parts.append(f"## Routers on {benchmark}")
        for table in tables:
            parts += [f"{table.title}. {table.caption}.", _table(table.heads, [row.plain for row in table.rows])]
    return "\n\n".join(parts) + "\n"


def _groups(own: CellFigures, groups: dict[str, list[Row]], gathered: Gathered) -> str:
    body = []
    for row in own.rows:
        found = {group: r.summary for group, rows in groups.items() for r in rows if r.contender == row.contender}
        written = (f"{percent(found[g].accuracy)} ({interval(found[g])})" if g in found else ABSENT for g in groups)
        body.append([gathered.said(row.contender), *written])
    return _table(
        ["system", *(f"{group} ({max(r.summary.items for r in rows)})" for group, rows in groups.items())], body
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    rule = ["---", *(["---:"] * (len(heads) - 1))]
    return "\n".join(_line(row) for row in (heads, rule, *rows))


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
