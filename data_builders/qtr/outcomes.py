"""What probing showed: which policy a category's questions get, the one that solved more of those probed; as a table and notes."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import mean
from typing import Any, Literal

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from videorouter.data_builders.qtr.probe import Probed
from videorouter.data_builders.rejects import Reject
from videorouter.data_builders.teacher.replies import QuestionCategory
from videorouter.shards.policy import POLICIES, Policy
from videorouter.shards.schema import PolicyLabel

PROBES = "probes.json"
"""The file of a run folder that keeps what probing showed."""
COLUMNS = (
    "probed", "global solved", "fragment solved", "both", "neither", "winner", "margin", "counted", "tokens",
)  # fmt: skip
WIDTH = 120
"""Columns of a log, which has no width of its own."""

Fate = Literal["keep", "drop"]


@dataclass
class PolicyConfig:
    """Which questions get which policy. Questions left out are listed in the quarantine under the filter's name.

    Args:
        labels: category (a category's winner labels all of its questions) or question (a probed question gets the
            policy that alone solved it; per_category are then probed in every split, those not probed are left out)
        both: questions that both policies solved: keep (labelled as their category), or drop (neither labelled nor counted)
        neither: questions that no policy solved: keep or drop, as above
        tied: the label of a category where both policies solved as many: drop (its questions are left out), global or fragment
    """

    labels: Literal["category", "question"] = "category"
    both: Fate = "keep"
    neither: Fate = "keep"
    tied: Literal["drop", "global", "fragment"] = "drop"

    def drops(self, probed: Probed) -> str | None:
        """The name of the filter that leaves a probed question out, if one does."""
        if probed.both and self.both == "drop":
            return "both"
        return "neither" if probed.neither and self.neither == "drop" else None


BY_CATEGORY = PolicyConfig()


@dataclass(frozen=True)
class CategoryOutcome:
    """What probing one category showed: counts of questions, and the mean tokens fed under each policy."""

    category: str
    support: int
    solved_global: int
    solved_fragment: int
    both: int
    neither: int
    tokens: dict[Policy, float]

    @property
    def winner(self) -> Policy | None:
        """The policy that solved more; None for a tie."""
        if self.solved_global == self.solved_fragment:
            return None
        return "global" if self.solved_global > self.solved_fragment else "fragment"

    def counted(self, config: PolicyConfig = BY_CATEGORY) -> int:
        """The support without what `config` drops; the winner is the same with and without it."""
        return self.support - (config.both == "drop") * self.both - (config.neither == "drop") * self.neither

    def margin(self, config: PolicyConfig = BY_CATEGORY) -> float:
        """By how much the winner is ahead, as a share (0-1) of the questions counted."""
        return abs(self.solved_global - self.solved_fragment) / max(1, self.counted(config))

    def label(self, config: PolicyConfig = BY_CATEGORY) -> PolicyLabel | None:
        """The label of every question of the category; None for a tie that labels nothing."""
        policy = self.winner or (None if config.tied == "drop" else config.tied)
        if policy is None:
            return None
        return PolicyLabel(
            policy=policy, category=self.category, margin=self.margin(config), support=self.counted(config)
        )


@dataclass(frozen=True)
class Probing:
    """Who answered; what was probed, by question id; the probes that failed; the outcomes of the training split by category."""

    prober: str
    probed: dict[str, Probed]
    failed: list[Reject]
    outcomes: dict[str, CategoryOutcome]


def outcomes(probed: Sequence[Probed], categories: Mapping[str, QuestionCategory]) -> dict[str, CategoryOutcome]:
    """One outcome a category, by name."""
    by_category: dict[str, list[Probed]] = defaultdict(list)
    for one in probed:
        by_category[categories[one.question].category].append(one)
    return {name: _outcome(name, members) for name, members in sorted(by_category.items())}


def outcome_notes(probing: Probing, config: PolicyConfig = BY_CATEGORY) -> dict[str, Any]:
    """The outcomes as notes for the manifest: `probing` by category, `probed_by`, `probes_failed`."""
    return {
        "probing": {
            name: asdict(outcome)
            | {"winner": outcome.winner, "margin": outcome.margin(config), "counted": outcome.counted(config)}
            for name, outcome in probing.outcomes.items()
        },
        "probed_by": probing.prober,
        "probes_failed": _failed(probing),
    }


def print_probing(probing: Probing, config: PolicyConfig = BY_CATEGORY) -> None:
    """Print the outcomes, and how many probes failed."""
    console = Console(markup=False)
    if not console.is_terminal:
        console.width = WIDTH
    console.print(outcome_table(probing.outcomes, config))
    for verdict, count in _failed(probing).items():
        console.print(f"{count} probes failed and count for nothing ({verdict}; {PROBES} keeps the replies)")


def _failed(probing: Probing) -> dict[str, int]:
    return dict(Counter(reject.verdict for reject in probing.failed))


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


def _outcome(name: str, members: Sequence[Probed]) -> CategoryOutcome:
    return CategoryOutcome(
        category=str(name),
        support=len(members),
        solved_global=sum(one.solved["global"] for one in members),
        solved_fragment=sum(one.solved["fragment"] for one in members),
        both=sum(one.both for one in members),
        neither=sum(one.neither for one in members),
        tokens={policy: mean(one.tokens[policy] for one in members) for policy in POLICIES},
    )
