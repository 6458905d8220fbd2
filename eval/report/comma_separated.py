"""`tables.csv`: one row a contender, cell and group, for other programs."""

import csv
import io
from dataclasses import astuple

from eval.report.cells import CellFigures, Row
from eval.statistics import Difference

HEAD = (
    "benchmark", "frames", "cap", "model", "system", "apart", "equal_tokens", "dimension", "group", "questions", "accuracy",
    "low", "high", "chance", "difference", "difference_low", "difference_high", "tokens_mean", "tokens_p95", "seconds",
    "unparsed", "failed",
)  # fmt: skip


def comma_separated(figures: list[CellFigures]) -> str:
    """The text of the file: shares in 0..1 with six decimals. The group of all questions is `all` of dimension `all`, MLVU's
    mean over tasks `macro` of dimension `average`. The same runs give the same bytes."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEAD)
    for own in figures:
        for row in own.rows:
            writer.writerow(_row(own, row, "all", "all"))
            if row.macro:
                writer.writerow(_row(own, row, "average", "macro", row.macro))
        for dimension, groups in own.groups.items():
            for group, rows in groups.items():
                writer.writerows(_row(own, row, dimension, group) for row in rows)
    return out.getvalue()


def _row(own: CellFigures, row: Row, dimension: str, group: str, macro: Difference | None = None) -> list[str]:
    summary = row.summary
    accuracy = astuple(macro) if macro else (summary.accuracy, summary.low, summary.high)
    compared = astuple(row.difference) if row.difference and not macro else None
    return [
        *map(str, own.cell),
        *row.contender,
        *(str(flag).lower() for flag in (row.apart, row.equal)),
        dimension,
        group,
        str(summary.items),
        *(f"{value:.6f}" for value in (*accuracy, summary.chance)),
        *(f"{value:.6f}" for value in compared or ()),
        *([] if compared else [""] * 3),
        f"{summary.tokens_mean:.3f}",
        f"{summary.tokens_p95:.1f}",
        f"{row.seconds:.6f}",
        str(summary.unparsed),
        str(row.failed),
    ]
