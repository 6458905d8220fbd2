"""What `eval run` prints: a table a cell, references in a section of their own, and the routers' own figures."""

import math
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from videorouter.eval.running.experiment import Results
from videorouter.eval.running.router_quality import RouterQuality
from videorouter.eval.statistics import Summary


def print_results(results: Results) -> None:
    """Print the tables of a finished comparison."""
    # A log file is no terminal of 80 columns: the table would lose its figures there.
    console = Console(markup=False) if sys.stdout.isatty() else Console(markup=False, width=150)
    for found in results.cells:
        cell = found.cell
        heading = f"{cell.benchmark}, {cell.frames} frames, at most {cell.cap} tokens"
        console.print(heading, results_table(found.summaries, found.apart))
    for quality in results.routers:
        console.print(router_table(quality))


def results_table(summaries: Sequence[Summary], references: Sequence[str]) -> Table:
    """Accuracy with its interval, tokens fed, stage times; references in a section of their own."""
    table = Table(title=_title(summaries[0]))
    stages = list(summaries[0].seconds_by_stage)
    table.add_column("system")
    for name in ("accuracy", "interval", "tokens", "p95", "unparsed", *stages):
        table.add_column(name, justify="right")
    compared = [summary for summary in summaries if summary.system not in references]
    apart = [summary for summary in summaries if summary.system in references]
    for position, summary in enumerate([*compared, *apart]):
        table.add_row(
            summary.system + (" (reference)" if summary in apart else ""),
            f"{summary.accuracy:.3f}",
            f"{summary.low:.3f}-{summary.high:.3f}",
            _figure(summary.tokens_mean, 1),
            _figure(summary.tokens_p95, 0),
            str(summary.unparsed),
            *(_figure(summary.seconds_by_stage.get(stage, math.nan), 3) for stage in stages),
            end_section=position == len(compared) - 1,
        )
    return table


def router_table(quality: RouterQuality) -> Table:
    """Router figures of one split."""
    table = Table(title=f"routers on split {quality.split!r}: {quality.questions} questions")
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_row("policy accuracy", f"{quality.policy_accuracy:.3f}")
    table.add_row(
        f"frame AUROC (macro within {quality.fragment_questions} fragment questions)", f"{quality.image_auroc:.3f}"
    )
    table.add_row("frame recall at threshold", f"{quality.image_recall:.3f}")
    table.add_row("frame precision at threshold", f"{quality.image_precision:.3f}")
    return table


def _figure(value: float, digits: int) -> str:
    return "?" if math.isnan(value) else f"{value:.{digits}f}"


def _title(any_system: Summary) -> str:
    guessing = f"guessing reaches {any_system.chance:.3f}"
    return f"{any_system.items} questions; {guessing}; 95 % interval over videos; seconds a question"
