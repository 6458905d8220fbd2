"""The figures of each cell: every contender's row, the differences to the reference, every group."""

from collections.abc import Sequence
from dataclasses import dataclass

from videorouter.eval.benchmarks.items import Item
from videorouter.eval.report.joined_runs import Contender, JoinedRuns
from videorouter.eval.report.router_figures import Routing, routing
from videorouter.eval.run_folder import REAL_KINDS, Cell, Failure, Prediction
from videorouter.eval.statistics import (
    TOLERANCE,
    Difference,
    Summary,
    check_equal,
    macro_average,
    paired_difference,
    summarise,
)
from videorouter.routers.systems.spec import Kind

BOTH_AVERAGES = ("mlvu",)
"""Benchmarks whose leaderboards print the mean over tasks beside the mean over questions."""


@dataclass(frozen=True)
class Row:
    """One contender in one cell, or in one group of it.

    `kind` is its system's; `apart` says whether the row is printed apart from the compared ones. `difference` is its accuracy
    minus the reference's, on the questions that both answered; None for the reference itself and where the model has none.
    `equal` says whether it was fed the reference's tokens, within 1 %. `macro` is given where the benchmark has both averages.
    """

    contender: Contender
    summary: Summary
    kind: Kind
    apart: bool
    equal: bool
    difference: Difference | None
    failed: int
    macro: Difference | None = None

    @property
    def seconds(self) -> float:
        """Of all stages, a question."""
        return sum(self.summary.seconds_by_stage.values())

    @property
    def real(self) -> bool:
        """Whether one could choose the system for its accuracy and cost."""
        return self.kind in REAL_KINDS


@dataclass(frozen=True)
class CellFigures:
    """A cell's rows: the reference first, the most accurate next, those apart last.

    `groups` holds rows by dimension, then group; `routing` is in the order of the rows.
    """

    cell: Cell
    videos: int
    rows: list[Row]
    groups: dict[str, dict[str, list[Row]]]
    routing: list[Routing]

    @property
    def title(self) -> str:
        return f"{self.cell.benchmark}, {self.cell.frames} frames sampled, at most {self.cell.cap:,} tokens"

    @property
    def name(self) -> str:
        """For links and labels."""
        return f"{self.cell.benchmark}-{self.cell.frames}-{self.cell.cap}"


def all_figures(
    joined: JoinedRuns, reference: str, *, mix_budgets: bool = False, apart: tuple[str, ...] = ()
) -> list[CellFigures]:
    """Every cell's figures.

    Raises `ValueError` where compared systems lack the reference, or were fed other tokens than it and `mix_budgets` is not
    set.
    """
    for cell, made in joined.answers.items():
        for model in sorted({contender.model for contender in made}):
            _check(cell, {c.system: p for c, p in made.items() if c.model == model}, reference, mix_budgets, apart)
    return [_figures(joined, cell, reference, apart) for cell in joined.answers]


def _check(
    cell: Cell, made: dict[str, list[Prediction]], reference: str, mix_budgets: bool, apart: tuple[str, ...]
) -> None:
    fed = {s: [p.tokens for p in those if p.tokens is not None] for s, those in made.items()}
    compared: dict[str, Sequence[int]] = {  # of another toolkit's answers nobody knows the tokens
        s: fed[s] for s, those in made.items() if not _is_apart(s, those, apart) and len(fed[s]) == len(those)
    }
    where = f"{cell.benchmark} at {cell.frames} frames and cap {cell.cap}"
    if compared and reference not in made:
        raise ValueError(
            f"{where}: there is no {reference!r} to compare with; choose --reference among {', '.join(made)}"
        )
    if compared and not mix_budgets:
        try:
            check_equal(compared | {reference: fed[reference]}, reference)
        except ValueError as error:
            raise ValueError(f"{where}: {error}; --mix-budgets reports them all the same, and says so") from error


def _figures(joined: JoinedRuns, cell: Cell, reference: str, apart: tuple[str, ...]) -> CellFigures:
    made, items = joined.answers[cell], joined.items[cell.benchmark]
    failures = [f for f in joined.failures if Cell(f.benchmark, f.sampled, f.cap) == cell]
    rows = _rows(made, failures, reference, apart)
    order = [row.contender for row in rows]
    groups: dict[str, dict[str, list[Row]]] = {}
    for dimension in dict.fromkeys(name for item in items.values() for name in item.groups):
        for group in sorted({item.groups[dimension] for item in items.values() if dimension in item.groups}):
            inside = {id_ for id_, item in items.items() if _in(item, dimension, group)}
            those = {c: [p for p in answers if p.item in inside] for c, answers in made.items()}
            found = _rows(
                {c: p for c, p in those.items() if p}, [f for f in failures if f.item in inside], reference, apart
            )
            if found:
                groups.setdefault(dimension, {})[group] = sorted(found, key=lambda row: order.index(row.contender))
    routed = sorted(routing(joined, cell), key=lambda own: order.index(own.contender))
    return CellFigures(cell, len({p.video for answers in made.values() for p in answers}), rows, groups, routed)


def _in(item: Item, dimension: str, group: str) -> bool:
    return item.groups.get(dimension) == group


def _rows(
    made: dict[Contender, list[Prediction]], failures: Sequence[Failure], reference: str, apart: tuple[str, ...]
) -> list[Row]:
    rows = [_row(contender, made, failures, reference, apart) for contender in made]
    return sorted(rows, key=lambda r: (r.apart, r.contender.system != reference, -r.summary.accuracy, r.contender))


def _row(
    contender: Contender,
    made: dict[Contender, list[Prediction]],
    failures: Sequence[Failure],
    reference: str,
    apart: tuple[str, ...],
) -> Row:
    own, base = made[contender], made.get(Contender(contender.model, reference))
    summary = summarise(own)
    wanted = summarise(base).tokens_mean if base else summary.tokens_mean
    return Row(
        contender,
        summary,
        own[0].kind,
        _is_apart(contender.system, own, apart),
        abs(summary.tokens_mean - wanted) <= TOLERANCE * wanted,
        _difference(own, base) if base and contender.system != reference else None,
        sum(f.model == contender.model and f.system == contender.system for f in failures),
        macro_average(own) if own[0].benchmark in BOTH_AVERAGES else None,
    )


def _is_apart(system: str, own: list[Prediction], named: tuple[str, ...]) -> bool:
    """Whether a system's row is printed apart: by its kind, or because the user named it."""
    return own[0].kind != "compared" or system in named


def _difference(own: list[Prediction], base: list[Prediction]) -> Difference | None:
    """Of the accuracies, on the questions that both answered."""
    both = {p.item for p in own} & {p.item for p in base}
    if not both:
        return None
    return paired_difference([p for p in own if p.item in both], [p for p in base if p.item in both])
