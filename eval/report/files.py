"""The files of a report: the page, and its tables as Markdown, LaTeX and CSV."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Final

from videorouter.eval.config import ReportConfig
from videorouter.eval.report.figures import CellFigures, Row, all_figures
from videorouter.eval.report.inspector import chosen_questions
from videorouter.eval.report.joined_runs import JoinedRuns, join_runs
from videorouter.eval.report.page import page
from videorouter.eval.report.router_figures import AUROC, PRECISION, RECALL, TENTH, TOKENS, Measured, Routing
from videorouter.eval.report.tables import (
    ABSENT,
    across_budgets,
    caption,
    cells,
    header,
    interval,
    percent,
    router_tables,
)
from videorouter.eval.statistics import Difference
from videorouter.routers.systems.spec import ROUTED


def write_report(runs: Sequence[Path], config: ReportConfig) -> Path:
    """Write the report of `runs`, from their folders alone. Returns the page's path.

    Raises `ValueError` for folders without a finished run, runs that contradict each other, a reference that is not there,
    unequal budgets without `mix_budgets`, and a page that cannot be kept small.
    """
    if config.questions < 0:
        raise ValueError(f"--questions is {config.questions}: give 0 or more")
    joined = join_runs(runs)
    reference = config.reference or usual_reference(joined)
    there = sorted({contender.system for contender in joined.contenders})
    if unknown := sorted(set(config.apart) - set(there)):
        raise ValueError(f"--apart names {unknown[0]!r}, which is in none of the runs: there are {', '.join(there)}")
    figures = all_figures(joined, reference, mix_budgets=config.mix_budgets, apart=tuple(config.apart))
    shown = chosen_questions(joined, config.questions)
    files = {
        "index.html": page(figures, joined, shown, reference, mix_budgets=config.mix_budgets),
        "tables.md": markdown(figures, joined, reference, config.mix_budgets),
        "tables.tex": latex(figures, joined, reference, config.mix_budgets),
        "tables.csv": comma_separated(figures),
    }
    config.out.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (config.out / name).write_text(text, encoding="utf-8", newline="\n")
    return config.out / "index.html"


def usual_reference(joined: JoinedRuns) -> str:
    """`videorouter`, or in runs without it the compared system that was named first."""
    compared = {c.system for made in joined.answers.values() for c, own in made.items() if own[0].kind == "compared"}
    named = [name for _, manifest in joined.runs for name in (manifest.get("config") or {}).get("systems", [])]
    if ROUTED in {contender.system for contender in joined.contenders}:
        return ROUTED
    return next((name for name in [*named, *sorted(compared)] if name in compared), ROUTED)


def markdown(figures: list[CellFigures], joined: JoinedRuns, reference: str, mix_budgets: bool) -> str:
    """The text of `tables.md`, for a README or an issue. The same runs give the same bytes."""
    parts = []
    for own in figures:
        parts += [f"## {own.title}", f"{caption(own)}."]
        for apart, title in ((False, "Compared"), (True, "References")):
            rows = [cells(row, joined) for row in own.rows if row.apart is apart]
            parts += [f"{title}:", _markdown_table(header(own, reference), rows)] if rows else []
        for dimension, groups in own.groups.items():
            parts += [f"Accuracy by {dimension}, % (interval):", _markdown_groups(own, groups, joined)]
    for benchmark, (heads, rows) in across_budgets(figures, joined).items() if mix_budgets else ():
        parts += [
            f"## {benchmark} across budgets",
            "Accuracy, % (interval), at mean tokens.",
            _markdown_table(heads, rows),
        ]
    for benchmark, tables in router_tables(figures, joined).items():
        parts.append(f"## Routers on {benchmark}")
        for table in tables:
            parts += [
                f"{table.title}. {table.caption}.",
                _markdown_table(table.heads, [row.plain for row in table.rows]),
            ]
    return "\n\n".join(parts) + "\n"


def latex(figures: list[CellFigures], joined: JoinedRuns, reference: str, mix_budgets: bool) -> str:
    r"""The text of `tables.tex`, for a paper (needs `\usepackage{booktabs}`). The same runs give the same bytes."""
    tables = [
        _latex_table(
            f"{own.title}. {caption(own)}.",
            own.name,
            header(own, reference),
            [cells(row, joined) for row in own.rows if not row.apart],
            [cells(row, joined) for row in own.rows if row.apart],
        )
        for own in figures
    ]
    for benchmark, (heads, rows) in across_budgets(figures, joined).items() if mix_budgets else ():
        title = f"{benchmark} across budgets: accuracy, % (95 % interval), at mean tokens."
        tables.append(_latex_table(title, f"{benchmark}-across", heads, rows, []))
    for benchmark, those in router_tables(figures, joined).items():
        tables += [
            _latex_table(
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


_MEASURES = {
    RECALL: "recall", TENTH: "recall_in_tenth", PRECISION: "precision", AUROC: "auroc", TOKENS: "evidence_tokens",
}  # fmt: skip
HEAD = (
    "benchmark", "frames", "cap", "model", "system", "apart", "equal_tokens", "dimension", "group", "questions", "accuracy",
    "low", "high", "chance", "difference", "difference_low", "difference_high", "tokens_mean", "tokens_p95", "seconds",
    "unparsed", "failed", "routed_global", "routed_fragment",
    "policy_known", "policy_right", "policy_right_low", "policy_right_high",
    "evidence_known", "evidence_counted", "relevance_threshold",
    *(f"{name}{end}" for name in _MEASURES.values() for end in ("", "_low", "_high", "_chance")),
)  # fmt: skip


def comma_separated(figures: list[CellFigures]) -> str:
    """The text of `tables.csv`, for other programs: one row a contender, cell and group; shares in 0..1 with six decimals.

    The group of all questions is `all` of dimension `all`, MLVU's mean over tasks `macro` of dimension `average`. The columns about
    routers are filled in the rows of all questions, those of the policies chosen also in rows of the first dimension's groups.
    The same runs give the same bytes.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEAD)
    for own in figures:
        routed, first = {routing.contender: routing for routing in own.routing}, next(iter(own.groups), None)
        for row in own.rows:
            writer.writerow(_csv_row(own, row, "all", "all") + _csv_routers(routed.get(row.contender)))
            if row.macro:
                writer.writerow(_csv_row(own, row, "average", "macro", row.macro) + _csv_routers(None))
        for dimension, groups in own.groups.items():
            for group, rows in groups.items():
                for row in rows:
                    routing = routed.get(row.contender) if dimension == first else None
                    writer.writerow(_csv_row(own, row, dimension, group) + _csv_routers(routing, group))
    return out.getvalue()


def _markdown_groups(own: CellFigures, groups: dict[str, list[Row]], joined: JoinedRuns) -> str:
    body = []
    for row in own.rows:
        found = {group: r.summary for group, rows in groups.items() for r in rows if r.contender == row.contender}
        written = (f"{percent(found[g].accuracy)} ({interval(found[g])})" if g in found else ABSENT for g in groups)
        body.append([joined.label(row.contender), *written])
    return _markdown_table(
        ["system", *(f"{group} ({max(r.summary.items for r in rows)})" for group, rows in groups.items())], body
    )


def _markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    rule = ["---", *(["---:"] * (len(heads) - 1))]
    return "\n".join(_markdown_line(row) for row in (heads, rule, *rows))


def _markdown_line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


_SPECIAL: Final = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--", "≠": r"$\neq$",
    **{sign: "\\" + sign for sign in "&%$#_{}"},
}  # fmt: skip
_FIND: Final = re.compile("|".join(map(re.escape, _SPECIAL)))


def _latex_table(title: str, label: str, heads: list[str], compared: list[list[str]], apart: list[list[str]]) -> str:
    between = ["\\midrule"] if compared and apart else []
    lines = [
        "\\begin{table}",
        "\\centering\\small",
        f"\\caption{{{escaped(title)}}}\\label{{tab:{re.sub(r'[^A-Za-z0-9-]', '-', label)}}}",
        f"\\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}",
        "\\toprule",
        _latex_line(heads),
        "\\midrule",
        *map(_latex_line, compared),
        *between,
        *map(_latex_line, apart),
        "\\bottomrule",
        "\\end{tabular}",
        "\\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _latex_line(cells: list[str]) -> str:
    return " & ".join(map(escaped, cells)) + r" \\"


def _csv_routers(routing: Routing | None, group: str | None = None) -> list[str]:
    """The columns about routers, of all questions or of a group; empty where nothing is told."""
    policies, evidence = (routing.policies, routing.evidence) if routing else (None, None)
    told: dict[str, object] = {}
    if policies:
        chosen = policies.chosen.get(group, Counter()) if group else sum(policies.chosen.values(), Counter())
        told |= {"routed_global": chosen["global"], "routed_fragment": chosen["fragment"]}
    if policies and policies.right and not group:
        told |= {"policy_known": policies.against.total(), **_csv_columns("policy_right", policies.right)}
    if evidence and not group:
        told |= {"evidence_known": evidence.asked, "evidence_counted": evidence.counted}
        told["relevance_threshold"] = evidence.threshold
        for name, found in evidence.measures.items():
            told |= _csv_columns(_MEASURES[name], found)
    return ["" if told.get(name) is None else str(told[name]) for name in HEAD[HEAD.index("routed_global") :]]


def _csv_columns(name: str, found: Measured) -> dict[str, str]:
    values = zip(("", "_low", "_high", "_chance"), astuple(found), strict=True)
    return {name + end: f"{value:.6f}" for end, value in values if value is not None}


def _csv_row(own: CellFigures, row: Row, dimension: str, group: str, macro: Difference | None = None) -> list[str]:
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
