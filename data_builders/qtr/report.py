"""What probing showed, as a table for the reader and as notes for the manifest."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from videorouter.data_builders.qtr.decide import PROBES, Probing
from videorouter.data_builders.qtr.winners import BY_CATEGORY, CategoryOutcome, PolicyConfig

COLUMNS = (
    "probed", "global solved", "fragment solved", "both", "neither", "winner", "margin", "counted", "tokens",
)  # fmt: skip
WIDTH = 120
"""Columns of a log, which has no width of its own."""


def report(probing: Probing, config: PolicyConfig = BY_CATEGORY) -> dict[str, Any]:
    """Print the outcomes; the same as notes for the manifest: `probing` by category, `probed_by`, `probes_failed`."""
    console = Console(markup=False)
    if not console.is_terminal:
        console.width = WIDTH
    console.print(outcome_table(probing.outcomes, config))
    failed = Counter(reject.verdict for reject in probing.failed)
    for verdict, count in failed.items():
        console.print(f"{count} probes failed and count for nothing ({verdict}; {PROBES} keeps the replies)")
    return {
        "probing": {
            name: asdict(outcome)
            | {"winner": outcome.winner, "margin": outcome.margin(config), "counted": outcome.counted(config)}
            for name, outcome in probing.outcomes.items()
        },
        "probed_by": probing.prober,
        "probes_failed": dict(failed),
    }


def outcome_table(outcomes: Mapping[str, CategoryOutcome], config: PolicyConfig = BY_CATEGORY) -> Table:
    """A row a category: what was solved, the winner with its margin over the questions counted, mean tokens of either."""
    table = Table(title="probing at equal tokens", box=SIMPLE)
    table.add_column("category", no_wrap=True)
    for name in COLUMNS:
        table.add_column(name)
    for outcome in outcomes.values():
        counts = (outcome.support, outcome.solved_global, outcome.solved_fragment, outcome.both, outcome.neither)
        table.add_row(
            outcome.category,
            *map(str, counts),
            outcome.winner or "tie",
            f"{outcome.margin(config):.2f}",
            str(outcome.counted(config)),
            f"{outcome.tokens['global']:.0f} / {outcome.tokens['fragment']:.0f}",
        )
    return table
