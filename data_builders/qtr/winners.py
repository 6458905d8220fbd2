"""Which policy a category's questions get: the one that solved more of those probed."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from data_builders.qtr.probe import Probed
from routers.allocation import Policy
from shards.schema import PolicyLabel


@dataclass(frozen=True)
class CategoryOutcome:
    """What probing one category showed; `winner` is None for a tie, which labels nothing."""

    category: str
    support: int
    solved_global: int
    solved_fragment: int
    both: int
    neither: int

    @property
    def winner(self) -> Policy | None:
        if self.solved_global == self.solved_fragment:
            return None
        return "global" if self.solved_global > self.solved_fragment else "fragment"

    def label(self) -> PolicyLabel | None:
        """The label of every question of the category."""
        if self.winner is None:
            return None
        margin = abs(self.solved_global - self.solved_fragment) / self.support
        return PolicyLabel(policy=self.winner, category=self.category, margin=margin, support=self.support)


def outcomes(probed: Sequence[Probed], categories: Mapping[str, str]) -> dict[str, CategoryOutcome]:
    """One outcome a category, by name."""
    by_category: dict[str, list[Probed]] = defaultdict(list)
    for one in probed:
        by_category[categories[one.question]].append(one)
    return {name: _outcome(name, members) for name, members in sorted(by_category.items())}


def _outcome(name: str, members: Sequence[Probed]) -> CategoryOutcome:
    solved = [(one.solved["global"], one.solved["fragment"]) for one in members]
    return CategoryOutcome(
        category=name,
        support=len(members),
        solved_global=sum(g for g, _ in solved),
        solved_fragment=sum(f for _, f in solved),
        both=sum(g and f for g, f in solved),
        neither=sum(not g and not f for g, f in solved),
    )
