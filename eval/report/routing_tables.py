"""The routers' figures as the page and the tables write them: policies against the truth and by group, evidence found."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from videorouter.eval.report.cells import CellFigures
from videorouter.eval.report.gathered import Gathered
from videorouter.eval.report.routing import AUROC, MEASURES, Evidence, Measured, Policies
from videorouter.eval.report.written import ABSENT, UNKNOWN, percent
from videorouter.shards.policy import POLICIES

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


class Shown(NamedTuple):
    """What stands in a cell, what stands small beside it, and what a bar shows, 0..1, with a tick where chance is."""

    text: str
    small: str = ""
    share: float | None = None
    chance: float | None = None


class RouterRow(NamedTuple):
    """`place` tells the cells of a benchmark apart where there are several, and is empty where there is one."""

    name: str
    place: str
    cells: list[Shown]

    @property
    def plain(self) -> list[str]:
        """The row as text."""
        name = f"{self.name}, {self.place}" if self.place else self.name
        return [name, *(f"{cell.text} ({cell.small})" if cell.small else cell.text for cell in self.cells)]


@dataclass(frozen=True)
class RouterTable:
    """`grouped` has a column a group, of which there may be many."""

    name: str
    title: str
    caption: str
    heads: list[str]
    rows: list[RouterRow]
    grouped: bool = False


def router_tables(figures: Sequence[CellFigures], gathered: Gathered) -> dict[str, list[RouterTable]]:
    """By benchmark; none of one in which nothing routed."""
    made = {}
    for benchmark in dict.fromkeys(own.cell.benchmark for own in figures):
        those = [own for own in figures if own.cell.benchmark == benchmark]
        routed = [
            (gathered.said(each.contender), _place(own) if len(those) > 1 else "", each)
            for own in those
            for each in own.routing
        ]
        policies = _once([(name, place, each.policies) for name, place, each in routed if each.policies])
        evidence = [(name, place, each.evidence) for name, place, each in routed if each.evidence]
        known = [(name, place, own.right, own.against) for name, place, own in policies if own.right]
        tables = [_against(known)] if known else []
        if policies:
            dimension = next((name for own in those for name in own.groups), "group")
            tables.append(_chosen(policies, dimension))
        if evidence:
            tables.append(_found(evidence))
        if tables:
            made[benchmark] = tables
    return made


def _place(own: CellFigures) -> str:
    return f"{own.cell.frames} frames, cap {own.cell.cap:,}"


def _once(policies: Sequence[tuple[str, str, Policies]]) -> list[tuple[str, str, Policies]]:
    """One row for what chose alike in every cell, as a router does that reads the question alone."""
    by_name: dict[str, list[tuple[str, str, Policies]]] = {}
    for own in policies:
        by_name.setdefault(own[0], []).append(own)
    return [
        row
        for name, own in by_name.items()
        for row in ([(name, "", own[0][2])] if all(policy == own[0][2] for _, _, policy in own) else own)
    ]


def _against(known: Sequence[tuple[str, str, Measured, Counter[tuple[str, str]]]]) -> RouterTable:
    return RouterTable(
        "policies",
        "Policy against the truth",
        "“global as fragment” counts questions whose policy is global, routed as fragment; 95 % intervals resample whole videos",
        ["system", "questions", "right policy, %", *(f"{truth} as {chosen}" for truth, chosen in _PAIRS)],
        [
            RouterRow(
                name,
                place,
                [Shown(str(against.total())), _shown(right), *(Shown(str(against[pair])) for pair in _PAIRS)],
            )
            for name, place, right, against in known
        ],
    )


def _chosen(policies: Sequence[tuple[str, str, Policies]], dimension: str) -> RouterTable:
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


def _share(chosen: Counter[str]) -> Shown:
    if not chosen:
        return Shown(ABSENT)
    share = chosen["fragment"] / chosen.total()
    return Shown(percent(share), f"{chosen['fragment']} of {chosen.total()}", share)


def _found(evidence: Sequence[tuple[str, str, Evidence]]) -> RouterTable:
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
                    Shown(f"{own.counted:,} of {own.asked:,}"),
                    *([_threshold(own.threshold)] if thresholds else []),
                    *(_shown(own.measures[name]) if name in own.measures else Shown(ABSENT) for name in there),
                ],
            )
            for name, place, own in evidence
        ],
    )


def _threshold(value: float | None) -> Shown:
    return Shown(UNKNOWN if value is None else f"{value:.3g}")


def _shown(found: Measured) -> Shown:
    chance = "" if found.chance is None else f"; chance {percent(found.chance)}"
    return Shown(percent(found.mean), f"{percent(found.low)}–{percent(found.high)}{chance}", found.mean, found.chance)
