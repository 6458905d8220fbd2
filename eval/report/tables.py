"""Tables as rows of text, for every format: the systems of a cell, all budgets of a benchmark, and the routers' figures."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from videorouter.eval.report.figures import CellFigures, Row
from videorouter.eval.report.joined_runs import Contender, JoinedRuns
from videorouter.eval.report.router_figures import AUROC, MEASURES, Evidence, Measured, Policies
from videorouter.eval.statistics import Difference, Summary
from videorouter.shards.policy import POLICIES

ABSENT = "–"
UNKNOWN = "?"
"""For what another toolkit did not record."""


def percent(value: float) -> str:
    return f"{100 * value:.1f}"


def interval(of: Summary | Difference) -> str:
    """The 95 % interval of an accuracy."""
    return f"{percent(of.low)}–{percent(of.high)}"


def points(difference: Difference | None) -> str:
    """A difference in points, signed, with its interval."""
    if difference is None:
        return ABSENT
    return f"{_signed(difference.mean)} ({_signed(difference.low)} to {_signed(difference.high)})"


def header(figures: CellFigures, reference: str) -> list[str]:
    """Column heads of a cell's table; `cells` gives the rows."""
    both = ["macro average, %"] if any(row.macro for row in figures.rows) else []
    accuracy = "micro average, %" if both else "accuracy, %"
    head = ["system", "questions", accuracy, "95 % interval", *both, f"minus {reference}, points"]
    return [*head, "tokens, mean", "tokens, p95", "seconds", "unparsed", "failed"]


def cells(row: Row, joined: JoinedRuns) -> list[str]:
    """One contender's row under `header`."""
    summary = row.summary
    macro = [f"{percent(row.macro.mean)} ({interval(row.macro)})"] if row.macro else []
    known = not math.isnan(summary.tokens_mean)
    unequal = "" if row.equal or row.apart or not known else " ≠"
    return [
        joined.label(row.contender),
        str(summary.items),
        percent(summary.accuracy),
        interval(summary),
        *macro,
        points(row.difference),
        f"{summary.tokens_mean:,.1f}{unequal}" if known else UNKNOWN,
        f"{summary.tokens_p95:,.0f}" if known else UNKNOWN,
        f"{row.seconds:.2f}" if summary.seconds_by_stage else UNKNOWN,
        str(summary.unparsed),
        str(row.failed),
    ]


def caption(figures: CellFigures) -> str:
    """The line below the title of a cell's table."""
    guessing = percent(figures.rows[0].summary.chance)
    unequal = any(not row.equal and not row.apart for row in figures.rows)
    return (
        f"{figures.videos} videos; guessing reaches {guessing} %; intervals of 95 % resample whole videos, differences pair "
        "the questions that both answered" + ("; ≠ was fed other tokens than the reference" if unequal else "")
    )


def across_budgets(figures: list[CellFigures], joined: JoinedRuns) -> dict[str, tuple[list[str], list[list[str]]]]:
    """One table over all cells of a benchmark that has several: heads and rows, accuracy (interval) at tokens fed."""
    tables = {}
    for benchmark in dict.fromkeys(own.cell.benchmark for own in figures):
        those = [own for own in figures if own.cell.benchmark == benchmark]
        if len(those) > 1:
            heads = ["system", *(f"{own.cell.frames} frames, cap {own.cell.cap:,}" for own in those)]
            contenders = sorted({row.contender for own in those for row in own.rows})
            tables[benchmark] = (
                heads,
                [[joined.label(c), *(_accuracy_at_tokens(own, c) for own in those)] for c in contenders],
            )
    return tables


class TableCell(NamedTuple):
    """The text of a cell, small text beside it, and what a bar shows, 0..1, with a tick at chance."""

    text: str
    small: str = ""
    share: float | None = None
    chance: float | None = None


class RouterRow(NamedTuple):
    """`place` names frames and cap where a benchmark has several cells, and is empty where it has one."""

    name: str
    place: str
    cells: list[TableCell]

    @property
    def plain(self) -> list[str]:
        """The row as text."""
        name = f"{self.name}, {self.place}" if self.place else self.name
        return [name, *(f"{cell.text} ({cell.small})" if cell.small else cell.text for cell in self.cells)]


@dataclass(frozen=True)
class RouterTable:
    """A table of router figures; a `grouped` one has a column a group, of which there may be many."""

    name: str
    title: str
    caption: str
    heads: list[str]
    rows: list[RouterRow]
    grouped: bool = False


def router_tables(figures: Sequence[CellFigures], joined: JoinedRuns) -> dict[str, list[RouterTable]]:
    """By benchmark; none for one in which no system routed."""
    made = {}
    for benchmark in dict.fromkeys(own.cell.benchmark for own in figures):
        those = [own for own in figures if own.cell.benchmark == benchmark]
        routed = [
            (joined.label(each.contender), _place(own) if len(those) > 1 else "", each)
            for own in those
            for each in own.routing
        ]
        policies = _merged_where_equal([(name, place, each.policies) for name, place, each in routed if each.policies])
        evidence = [(name, place, each.evidence) for name, place, each in routed if each.evidence]
        known = [(name, place, own.right, own.against) for name, place, own in policies if own.right]
        tables = [_policy_table(known)] if known else []
        if policies:
            dimension = next((name for own in those for name in own.groups), "group")
            tables.append(_share_table(policies, dimension))
        if evidence:
            tables.append(_evidence_table(evidence))
        if tables:
            made[benchmark] = tables
    return made


def _signed(value: float) -> str:
    return f"{round(100 * value, 1) + 0.0:+.1f}"  # + 0.0: no minus sign before zero


def _accuracy_at_tokens(figures: CellFigures, contender: Contender) -> str:
    found = [row.summary for row in figures.rows if row.contender == contender]
    return f"{percent(found[0].accuracy)} ({interval(found[0])}) at {found[0].tokens_mean:,.0f}" if found else ABSENT


_OF_EVIDENCE: Final = (
    "Means over questions, with 95 % intervals over videos, beside chance: as many frames drawn at random, scores that say "
    "nothing, tokens spread evenly over the frames. Only questions routed as fragment have scores: “questions” counts those with "
    "evidence in some sampled frames and not in all, of the questions whose evidence is known. The top tenth are a tenth of the "
    "frames, rounded up, those of highest score"
)
_MARKED: Final = (
    "The benchmark marks evidence without saying that nothing else is, so there is no precision and no AUROC; a marked frame "
    "counts for the sampled one nearest to it"
)
_ROUNDED: Final = "A run keeps four decimals of a score"
_UNSAID: Final = "Where no manifest says the threshold, nothing is told at it"
_PAIRS: Final = tuple((truth, chosen) for truth in POLICIES for chosen in POLICIES)


def _place(own: CellFigures) -> str:
    return f"{own.cell.frames} frames, cap {own.cell.cap:,}"


def _merged_where_equal(policies: Sequence[tuple[str, str, Policies]]) -> list[tuple[str, str, Policies]]:
    """One row for a system that chose the same policies in every cell, as a router does that reads the question alone."""
    by_name: dict[str, list[tuple[str, str, Policies]]] = {}
    for own in policies:
        by_name.setdefault(own[0], []).append(own)
    return [
        row
        for name, own in by_name.items()
        for row in ([(name, "", own[0][2])] if all(policy == own[0][2] for _, _, policy in own) else own)
    ]


def _policy_table(known: Sequence[tuple[str, str, Measured, Counter[tuple[str, str]]]]) -> RouterTable:
    return RouterTable(
        "policies",
        "Policy against the truth",
        "“global as fragment” counts questions whose policy is global, routed as fragment; 95 % intervals resample whole videos",
        ["system", "questions", "right policy, %", *(f"{truth} as {chosen}" for truth, chosen in _PAIRS)],
        [
            RouterRow(
                name,
                place,
                [
                    TableCell(str(against.total())),
                    _measured(right),
                    *(TableCell(str(against[pair])) for pair in _PAIRS),
                ],
            )
            for name, place, right, against in known
        ],
    )


def _share_table(policies: Sequence[tuple[str, str, Policies]], dimension: str) -> RouterTable:
    groups = sorted({group for _, _, own in policies for group in own.chosen})
    return RouterTable(
        "chosen",
        f"Routed as fragment, by {dimension}",
        "Share of the questions, %; the others were routed as global",
        ["system", "all", *groups],
        [
            RouterRow(
                name,
                place,
                [
                    _share(sum(own.chosen.values(), Counter())),
                    *(_share(own.chosen.get(group, Counter())) for group in groups),
                ],
            )
            for name, place, own in policies
        ],
        grouped=True,
    )


def _share(chosen: Counter[str]) -> TableCell:
    if not chosen:
        return TableCell(ABSENT)
    share = chosen["fragment"] / chosen.total()
    return TableCell(percent(share), f"{chosen['fragment']} of {chosen.total()}", share)


def _evidence_table(evidence: Sequence[tuple[str, str, Evidence]]) -> RouterTable:
    there = [name for name in MEASURES if any(name in own.measures for _, _, own in evidence)]
    thresholds = [own.threshold for _, _, own in evidence if own.threshold is not None]
    said = [
        _OF_EVIDENCE,
        *([_MARKED] if there and AUROC not in there else []),
        *([_ROUNDED] if thresholds else []),
        *([_UNSAID] if len(thresholds) < len(evidence) else []),
    ]
    return RouterTable(
        "evidence",
        "Evidence found by the Image Router",
        ". ".join(said),
        ["system", "questions", *(["threshold"] if thresholds else []), *(f"{name}, %" for name in there)],
        [
            RouterRow(
                name,
                place,
                [
                    TableCell(f"{own.counted:,} of {own.asked:,}"),
                    *([_threshold(own.threshold)] if thresholds else []),
                    *(_measured(own.measures[name]) if name in own.measures else TableCell(ABSENT) for name in there),
                ],
            )
            for name, place, own in evidence
        ],
    )


def _threshold(value: float | None) -> TableCell:
    return TableCell(UNKNOWN if value is None else f"{value:.3g}")


def _measured(found: Measured) -> TableCell:
    chance = "" if found.chance is None else f"; chance {percent(found.chance)}"
    return TableCell(
        percent(found.mean), f"{percent(found.low)}–{percent(found.high)}{chance}", found.mean, found.chance
    )
