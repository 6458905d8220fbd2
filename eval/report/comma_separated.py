"""`tables.csv`: one row a contender, cell and group, for other programs."""

import csv
import io
from collections import Counter
from dataclasses import astuple

from videorouter.eval.report.cells import CellFigures, Row
from videorouter.eval.report.routing import AUROC, PRECISION, RECALL, TENTH, TOKENS, Measured, Routing
from videorouter.eval.statistics import Difference

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
    """The text of the file: shares in 0..1 with six decimals. The group of all questions is `all` of dimension `all`, MLVU's
    mean over tasks `macro` of dimension `average`. What routers decided stands in the rows of all questions, the policies chosen in
    those of the first dimension's groups, too. The same runs give the same bytes."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEAD)
    for own in figures:
        routed, first = {routing.contender: routing for routing in own.routing}, next(iter(own.groups), None)
        for row in own.rows:
            writer.writerow(_row(own, row, "all", "all") + _routed(routed.get(row.contender)))
            if row.macro:
                writer.writerow(_row(own, row, "average", "macro", row.macro) + _routed(None))
        for dimension, groups in own.groups.items():
            for group, rows in groups.items():
                for row in rows:
                    routing = routed.get(row.contender) if dimension == first else None
                    writer.writerow(_row(own, row, dimension, group) + _routed(routing, group))
    return out.getvalue()


def _routed(routing: Routing | None, group: str | None = None) -> list[str]:
    """The columns about routers, of all questions or of a group; empty where nothing is told."""
    policies, evidence = (routing.policies, routing.evidence) if routing else (None, None)
    told: dict[str, object] = {}
    if policies:
        chosen = policies.chosen.get(group, Counter()) if group else sum(policies.chosen.values(), Counter())
        told |= {"routed_global": chosen["global"], "routed_fragment": chosen["fragment"]}
    if policies and policies.right and not group:
        told |= {"policy_known": policies.against.total(), **_columns("policy_right", policies.right)}
    if evidence and not group:
        told |= {"evidence_known": evidence.asked, "evidence_counted": evidence.counted}
        told["relevance_threshold"] = evidence.threshold
        for name, found in evidence.measures.items():
            told |= _columns(_MEASURES[name], found)
    return ["" if told.get(name) is None else str(told[name]) for name in HEAD[HEAD.index("routed_global") :]]


def _columns(name: str, found: Measured) -> dict[str, str]:
    values = zip(("", "_low", "_high", "_chance"), astuple(found), strict=True)
    return {name + end: f"{value:.6f}" for end, value in values if value is not None}


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
