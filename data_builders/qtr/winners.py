"""Which policy a category's questions get: the one that solved more of those probed."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Literal

from videorouter.data_builders.qtr.probe import Probed
from videorouter.data_builders.replies import QuestionCategory
from videorouter.shards.policy import POLICIES, Policy
from videorouter.shards.schema import PolicyLabel

Fate = Literal["keep", "drop"]


@dataclass
class PolicyConfig:
    """Which questions get which policy. Questions left out stand in the quarantine under the filter's name.

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


def outcomes(probed: Sequence[Probed], categories: Mapping[str, QuestionCategory]) -> dict[str, CategoryOutcome]:
    """One outcome a category, by name."""
    by_category: dict[str, list[Probed]] = defaultdict(list)
    for one in probed:
        by_category[categories[one.question].category].append(one)
    return {name: _outcome(name, members) for name, members in sorted(by_category.items())}


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
