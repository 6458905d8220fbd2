"""Interleaved frame groups, how certain the model was on each, and the tokens each may keep (AdaptToken, arXiv 2603.28696)."""

import math
from collections.abc import Sequence

import numpy as np


def interleaved_groups(n: int, k: int = 64) -> list[list[int]]:
    """`n` frames in `G = n // k + 1` groups of at most `k`: group g holds g, g + G, g + 2G, ... (AdaptToken).

    Every group spans the whole video. At k = 1 the last of the n + 1 groups would be empty and is left out. Raises
    `ValueError` for `n` or `k` below 1.
    """
    if n < 1 or k < 1:
        raise ValueError(f"{n} frames in groups of {k}: both must be at least 1")
    groups = n // k + 1
    return [list(range(first, n, groups)) for first in range(min(groups, n))]


def bit_reversed(count: int) -> list[int]:
    """0..count-1 in the order of their reversed bits: consecutive ones lie far apart (ours)."""
    bits = max(1, (count - 1).bit_length())
    return sorted(range(count), key=lambda number: int(f"{number:0{bits}b}"[::-1], 2))


def certainty(entropies: Sequence[float], share: float = 0.1) -> float:
    """Minus the mean entropy, in nats, of the `share` least certain tokens of a response: at most 0 (AdaptToken; sign ours).

    `entropies` holds one a response token. At least one token counts (ours). Raises `ValueError` for an empty response.
    """
    if not len(entropies):
        raise ValueError("a response without tokens has no certainty: inspect with max_new_tokens of at least 1")
    count = max(1, math.ceil(share * len(entropies) - 1e-9))
    return -sum(sorted(entropies, reverse=True)[:count]) / count


def group_budgets(certainty: Sequence[float], sizes: Sequence[int], budget: int, tau: float = 2.0) -> list[int]:
    """Tokens each group may keep: `budget * softmax(certainty / tau)` in whole numbers (AdaptToken).

    No group gets more than its size, what it cannot take goes to the others in proportion, and the remainders of the
    division go to the largest fractions, the earlier group first (ours). The sum is `min(budget, sum(sizes))`. Raises
    `ValueError` for lists of unequal lengths, numbers that are not finite, a negative size or budget, or `tau` not above 0.
    """
    shares = group_shares(certainty, sizes, budget, tau)
    whole = [math.floor(share) for share in shares]
    left = min(budget, sum(sizes)) - sum(whole)
    by_fraction = sorted(range(len(shares)), key=lambda g: (whole[g] >= sizes[g], whole[g] - shares[g]))
    for group in by_fraction[:left]:
        whole[group] += 1
    return whole


def group_shares(certainty: Sequence[float], sizes: Sequence[int], budget: int, tau: float = 2.0) -> list[float]:
    """`group_budgets` before it is rounded. Where groups are added, no earlier group's share grows.

    Raises as `group_budgets`.
    """
    _check(certainty, sizes, budget, tau)
    logits = np.asarray(certainty, dtype=np.float64) / tau
    room = np.asarray(sizes, dtype=np.float64)
    shares = np.zeros(len(room))
    free, left = room > 0, float(budget)
    while free.any():
        weights = np.exp(logits[free] - logits[free].max())
        shares[free] = left * weights / weights.sum()
        full = free & (shares >= room)
        if not full.any():
            break
        shares[full] = room[full]
        left -= room[full].sum()
        free &= ~full
    return shares.tolist()


def _check(certainty: Sequence[float], sizes: Sequence[int], budget: int, tau: float) -> None:
    if len(certainty) != len(sizes):
        raise ValueError(f"{len(certainty)} certainties for {len(sizes)} groups: one a group is needed")
    if not all(math.isfinite(value) for value in certainty):
        raise ValueError(f"certainties must be finite, got {list(certainty)}")
    if budget < 0 or min(sizes, default=0) < 0:
        raise ValueError(f"a budget of {budget} tokens for groups of {list(sizes)}: none may be negative")
    if not tau > 0:
        raise ValueError(f"tau is {tau}: the softmax needs a temperature above 0")
