"""Equal budgets: every compared system feeds the same mean number of tokens, and none exceeds the cap (ours)."""

from collections.abc import Sequence
from itertools import pairwise

TOLERANCE = 0.01


def item_budgets(mean_tokens: float, items: int, step: int, cap: int) -> list[int]:
    """Budgets in multiples of `step` whose mean over the items is within `step / items` of `mean_tokens`.

    A system can spend only whole frames; giving every item the same rounded-down budget would cheat it of up to a frame
    an item. A pure function of its arguments: item i's budget depends on no other item's outcome.
    """
    reached = [int((i * mean_tokens) // step) * step for i in range(items + 1)]
    reached[-1] = round(items * mean_tokens / step) * step
    budgets = [later - earlier for earlier, later in pairwise(reached)]
    return [min(cap, budget) for budget in budgets]


def check_equal(tokens_by_system: dict[str, Sequence[int]], reference: str) -> None:
    """Raise `ValueError` unless every system's mean fed tokens lie within 1 % of the reference system's."""
    means = {name: sum(tokens) / len(tokens) for name, tokens in tokens_by_system.items()}
    wanted = means[reference]
    unequal = {name: mean for name, mean in means.items() if abs(mean - wanted) > TOLERANCE * wanted}
    if unequal:
        found = ", ".join(f"{name} {mean:.1f}" for name, mean in unequal.items())
        raise ValueError(
            f"systems compared at unequal budgets: {reference} fed {wanted:.1f} tokens a question, {found}. "
            "Sample more frames so that every system can spend the budget, or compare fewer systems"
        )
