"""The best tokens of the groups seen so far, held in the memory of one budget however many groups there are (ours)."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from videorouter.routers.systems.adapttoken_groups import group_budgets, group_shares
from videorouter.routers.systems.group_inspection import InspectedGroup


@dataclass(frozen=True)
class _Kept:
    """A group's most attended tokens, and how many it had."""

    best: InspectedGroup
    size: int


class Candidates:
    """Collects groups; `selected` gives the top `group_budgets` tokens of each.

    A group's budget depends on all groups, also those still to come, but its share only falls as they come. Whatever lies
    beyond the present share can go at once: never are more than `budget` and one or two tokens a group held.
    """

    def __init__(self, budget: int, tau: float) -> None:
        self.budget, self.tau = budget, tau
        self._groups: list[_Kept] = []

    def __len__(self) -> int:
        """Tokens held."""
        return sum(len(group.best.scores) for group in self._groups)

    @property
    def groups(self) -> int:
        """Groups added."""
        return len(self._groups)

    def add(self, group: InspectedGroup) -> None:
        """Take a group's tokens in, let go of those that no budget can want any more."""
        self._groups.append(_Kept(group, len(group.scores)))
        shares = group_shares(*self._weights(), self.budget, self.tau)
        # Rounding may add one to a share; the hundredth is for its arithmetic.
        most = [math.floor(share + 0.01) + 1 for share in shares]
        self._groups = [
            replace(kept, best=_best(kept.best, count)) for kept, count in zip(self._groups, most, strict=True)
        ]

    def selected(self) -> InspectedGroup:
        """The tokens kept of all groups, in temporal and raster order; its certainty is the mean over groups."""
        budgets = group_budgets(*self._weights(), self.budget, self.tau)
        chosen = [_best(kept.best, count) for kept, count in zip(self._groups, budgets, strict=True)]
        frames, cells = (torch.cat([getattr(group, name) for group in chosen]) for name in ("frames", "cells"))
        order = (frames * (cells.max() + 1) + cells).argsort()
        tokens: Tensor = torch.cat([group.tokens for group in chosen])
        return InspectedGroup(
            tokens[order.to(tokens.device)],
            frames[order],
            cells[order],
            torch.cat([group.scores for group in chosen])[order],
            sum(group.certainty for group in chosen) / len(chosen),
        )

    def _weights(self) -> tuple[list[float], list[int]]:
        return [kept.best.certainty for kept in self._groups], [kept.size for kept in self._groups]


def _best(group: InspectedGroup, count: int) -> InspectedGroup:
    """The `count` most attended tokens, of equal ones the first; copies, so that the others' memory is free."""
    if count >= len(group.scores):
        return group
    order = group.scores.argsort(descending=True, stable=True)[:count]
    return replace(
        group,
        tokens=group.tokens[order.to(group.tokens.device)],
        frames=group.frames[order],
        cells=group.cells[order],
        scores=group.scores[order],
    )
