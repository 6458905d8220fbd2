"""What a pass of the model over a question's frames found, kept for other systems and budgets that need the same pass (ours)."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

Found = TypeVar("Found")


@dataclass
class Looks:
    """Findings about one question and one video, by what was looked for; a budget is never part of that.

    What is found is the same as without; seconds are not, so latency is measured without.
    """

    found: dict[Hashable, Any] = field(default_factory=dict, repr=False)


def looked(looks: Looks | None, key: Hashable, look: Callable[[], Found]) -> Found:
    """What was found under `key` before, or what `look` finds now; without `looks` always the latter."""
    if looks is None:
        return look()
    if key not in looks.found:
        looks.found[key] = look()
    found: Found = looks.found[key]
    return found
