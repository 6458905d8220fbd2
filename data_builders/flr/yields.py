"""What each filter left: counted from the files of a build, so that it is exact however often the build was resumed."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from videorouter.data_builders.flr.filters import FILTERS
from videorouter.data_builders.flr.propose import PROPOSAL
from videorouter.data_builders.rejects import Reject

GENERATED = (PROPOSAL, *(passes.__name__ for passes in FILTERS))
"""The filters of `flr generate`, in their order."""
ANNOTATED = ("necessity",)
"""The filter of `flr annotate`."""


@dataclass(frozen=True)
class FilterYield:
    """How many questions came to a filter, and how many it put aside."""

    filter: str
    entered: int
    put_aside: int

    @property
    def passed(self) -> int:
        return self.entered - self.put_aside

    @property
    def share(self) -> float | None:
        """The filter's yield: passed of entered; None where nothing came."""
        return self.passed / self.entered if self.entered else None


def filter_yields(rejects: Iterable[Reject], accepted: int, filters: Sequence[str] = GENERATED) -> list[FilterYield]:
    """The yield of each of `filters`, in that order, of a build that put `rejects` aside and labelled `accepted` questions.

    Questions that no filter put aside but a teacher without a valid reply are in none of the counts.
    """
    caught = Counter(reject.verdict for reject in rejects if reject.stage == "filter")
    left = accepted
    yields = []
    for name in reversed(filters):
        left += caught[name]
        yields.append(FilterYield(name, left, caught[name]))
    return yields[::-1]


def yield_table(yields: Iterable[FilterYield]) -> Table:
    """The yields, to be printed."""
    table = Table("filter", "entered", "put aside", "passed", "yield", title="what the filters left")
    for row in yields:
        share = "" if row.share is None else f"{row.share:.3f}"
        table.add_row(row.filter, str(row.entered), str(row.put_aside), str(row.passed), share)
    return table


def yield_notes(yields: Iterable[FilterYield]) -> dict[str, Any]:
    """The yields as notes for the manifest."""
    return {"filters": [asdict(row) | {"passed": row.passed, "yield": row.share} for row in yields]}
