"""How far a build is: read from the run folder's ledger, so that one view serves every executor."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from videorouter.data_builders.ledger import Ledger, Totals

EVERY = 0.5


@contextmanager
def watched(ledger: Ledger, videos: int) -> Iterator[None]:
    """Show videos, questions, tokens or dollars, failures and the time left while the body runs, on standard error."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[told]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    ended = threading.Event()
    with Progress(*columns, console=Console(markup=False, stderr=True), transient=True) as progress:
        task = progress.add_task("videos", total=videos, told="")

        def look() -> None:
            while not ended.wait(EVERY):
                totals = ledger.totals()
                progress.update(task, completed=totals.videos, told=told(totals))

        watcher = threading.Thread(target=look, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()


def told(totals: Totals) -> str:
    """Totals in a line."""
    parts = [f"{totals.questions} questions"]
    if totals.usage.requests:
        parts.append(f"{totals.usage.requests} requests")
        tokens = totals.usage.tokens_in + totals.usage.tokens_out
        parts.append(f"{tokens} tokens" if totals.usd is None else f"${totals.usd:.2f}")
    if totals.failures:
        parts.append(f"{totals.failures} failures")
    return ", ".join(parts)
