r"""`tables.tex`: every cell's table for a paper (needs `\usepackage{booktabs}`)."""

import re
from typing import Final

from videorouter.eval.report.across import across_budgets
from videorouter.eval.report.cells import CellFigures
from videorouter.eval.report.gathered import Gathered
from videorouter.eval.report.routing_tables import router_tables
from videorouter.eval.report.written import caption, cells, header

_SPECIAL: Final = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--", "≠": r"$\neq$",
    **{sign: "\\" + sign for sign in "&%$#_{}"},
}  # fmt: skip
_FIND: Final = re.compile("|".join(map(re.escape, _SPECIAL)))


def latex(figures: list[CellFigures], gathered: Gathered, reference: str, mix_budgets: bool) -> str:
    """The text of the file. The same runs give the same bytes."""
    tables = [
        _table(
            f"{own.title}. {caption(own)}.",
            own.name,
            header(own, reference),
            [cells(row, gathered) for row in own.rows if not row.apart],
            [cells(row, gathered) for row in own.rows if row.apart],
        )
        for own in figures
    ]
    for benchmark, (heads, rows) in across_budgets(figures, gathered).items() if mix_budgets else ():
        title = f"{benchmark} across budgets: accuracy, % (95 % interval), at mean tokens."
        tables.append(_table(title, f"{benchmark}-across", heads, rows, []))
    for benchmark, those in router_tables(figures, gathered).items():
        tables += [
            _table(
                f"{table.title}, {benchmark}. {table.caption}.",
                f"{benchmark}-{table.name}",
                table.heads,
                [row.plain for row in table.rows],
                [],
            )
            for table in those
            if not table.grouped
        ]
    return "% \\usepackage{booktabs}\n" + "\n".join(tables)


def escaped(text: str) -> str:
    """Text as LaTeX prints it."""
    return _FIND.sub(lambda found: _SPECIAL[found[0]], text)


def _table(title: str, label: str, heads: list[str], compared: list[list[str]], apart: list[list[str]]) -> str:
    between = ["\\midrule"] if compared and apart else []
    lines = [
        "\\begin{table}",
        "\\centering\\small",
        f"\\caption{{{escaped(title)}}}\\label{{tab:{re.sub(r'[^A-Za-z0-9-]', '-', label)}}}",
        f"\\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}",
        "\\toprule",
        _line(heads),
        "\\midrule",
        *map(_line, compared),
        *between,
        *map(_line, apart),
        "\\bottomrule",
        "\\end{tabular}",
        "\\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _line(cells: list[str]) -> str:
    return " & ".join(map(escaped, cells)) + r" \\"
