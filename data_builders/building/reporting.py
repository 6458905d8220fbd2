"""What a build shows: its progress, read from the ledger so that one view serves every executor, its outcome and exit code."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from videorouter.data_builders.building.estimate import Estimate
from videorouter.data_builders.building.ledger import Ledger, Totals
from videorouter.data_builders.building.run_folder import RunFolder
from videorouter.data_builders.rejects import QUARANTINE, Reject
from videorouter.data_builders.teacher.errors import BudgetSpent, TeacherRefuses, TeacherStopped

DONE, QUARANTINED, UNAVAILABLE, SPENT, REFUSES = 0, 3, 4, 5, 6
REFRESH = 0.5
"""Seconds between two readings of the ledger."""


@dataclass
class Outcome:
    """What a build did; `waiting` counts those of `shards` that are not done, here or in other shard ranges.

    A dry run has an `estimate` alone.
    """

    shards: int = 0
    labelled: int = 0
    rejects: list[Reject] = field(default_factory=list)
    stopped: TeacherStopped | None = None
    waiting: int = 0
    tolerate: float = 0.0
    estimate: Estimate | None = None

    @property
    def exit_code(self) -> int:
        """0 all labelled, 3 items in quarantine; 4 teacher unavailable, 5 a cap reached, 6 all refused: a rerun continues."""
        if self.stopped:
            codes = {BudgetSpent: SPENT, TeacherRefuses: REFUSES}
            return next((code for kind, code in codes.items() if isinstance(self.stopped, kind)), UNAVAILABLE)
        failed = sum(reject.failed for reject in self.rejects)
        return QUARANTINED if failed > self.tolerate * (self.labelled + failed) else DONE


@contextmanager
def show_progress(ledger: Ledger, videos: int) -> Iterator[None]:
    """Show videos, questions, tokens or dollars, failures and the time left while the body runs, on standard error."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[totals]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    ended = threading.Event()
    with Progress(*columns, console=Console(markup=False, stderr=True), transient=True) as progress:
        task = progress.add_task("videos", total=videos, totals="")

        def update() -> None:
            while not ended.wait(REFRESH):
                totals = ledger.totals()
                progress.update(task, completed=totals.videos, totals=totals_line(totals))

        watcher = threading.Thread(target=update, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()


def print_outcome(folder: RunFolder, outcome: Outcome) -> None:
    """What was labelled, put aside and spent, or what a dry run estimates; and why it stopped."""
    console = Console(markup=False, highlight=False, soft_wrap=True)
    if folder.run.dry_run:
        if outcome.estimate:
            outcome.estimate.show(console, folder.run.tokens_per_second)
    else:
        _print_totals(console, folder, outcome)
    if outcome.stopped:
        print_stop(outcome.stopped)


def _print_totals(console: Console, folder: RunFolder, outcome: Outcome) -> None:
    shards = outcome.shards
    console.print(
        f"{outcome.labelled} questions labelled in {shards - outcome.waiting} of {shards} shards in {folder.out}"
    )
    failed = [reject for reject in outcome.rejects if reject.failed]
    for reject in failed[:10]:
        console.print(Text("put aside", style="yellow"), f"{reject.item} ({reject.verdict}): {reject.reason}")
    if outcome.rejects:
        filtered = len(outcome.rejects) - len(failed)
        console.print(f"{len(failed)} items put aside, {filtered} filtered: see {folder.out / QUARANTINE}")
    if folder.teacher:
        console.print(
            f"teacher, all runs into this folder: {folder.ledger.totals().usage}; {totals_line(folder.ledger.totals())}"
        )
    if folder.run.shard_range:
        console.print(
            f"shards {folder.run.shard_range} only; caps count for the whole folder; {outcome.waiting} shards wait"
        )


def print_stop(error: TeacherStopped) -> None:
    """Why no more is asked, and what to do."""
    advice = "; raise the cap and run the same command again" if isinstance(error, BudgetSpent) else ""
    Console(markup=False, stderr=True, soft_wrap=True).print(f"error: {error}{advice}")


def totals_line(totals: Totals) -> str:
    """Totals in a line."""
    parts = [f"{totals.questions} questions"]
    if totals.usage.requests:
        parts.append(f"{totals.usage.requests} requests")
        tokens = totals.usage.tokens_in + totals.usage.tokens_out
        parts.append(f"{tokens} tokens" if totals.usd is None else f"${totals.usd:.2f}")
    if totals.failures:
        parts.append(f"{totals.failures} failures")
    return ", ".join(parts)
