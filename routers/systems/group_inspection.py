"""AdaptToken's passes over groups of frames: the groups, one inspected model run each, and the best tokens seen so far.

Groups are interleaved, so that each spans the whole video. Memory holds candidates for one budget, however many there are (ours).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from videorouter.routers.backbones.finite import finite_frames
from videorouter.routers.backbones.layout import texts_around
from videorouter.routers.backbones.protocol import Backbone, Grid
from videorouter.routers.backbones.sources import TokenSource
from videorouter.routers.systems.base import CompressedVideo
from videorouter.routers.systems.query import PassCache, cached


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


@dataclass(frozen=True)
class InspectedGroup:
    """A group's n tokens in temporal and raster order: `tokens` `[n, channels]`; on the CPU `frames`, `cells` and `scores` `[n]`.

    `certainty` is at most 0, in nats.
    """

    tokens: Tensor
    frames: Tensor
    cells: Tensor
    scores: Tensor
    certainty: float


@dataclass(frozen=True)
class Inspection:
    """How groups are run: after the prompt `text`, with attention read at `layer` (0-based) and a response this long.

    `between` is what is written between all T frames, as in `Query`; `cache` and `grid` are the question's, where it has them.
    """

    backbone: Backbone
    text: str
    layer: int
    max_new_tokens: int
    between: Sequence[str] | None = None
    cache: PassCache | None = None
    grid: Grid | None = None

    def of(
        self, video_tokens: TokenSource, frames: Sequence[int], seconds: Sequence[float] | None = None
    ) -> InspectedGroup:
        """Run the model on all tokens of `frames`, as on a video of these frames alone; `seconds` `[T]` are the whole video's."""
        whole = whole_video(finite_frames(video_tokens[list(frames)], list(frames)), self.grid)
        shown = None if seconds is None else [seconds[frame] for frame in frames]
        written = None if self.between is None else texts_around(self.between, frames, len(video_tokens))
        key = ("inspection", self.text, written and tuple(written), self.layer, self.max_new_tokens, tuple(frames))
        scores, certain = cached(self.cache, key, lambda: self._run(whole, shown, written))
        return InspectedGroup(
            whole.embeddings, torch.tensor(list(frames))[whole.frames.cpu()], whole.cells.cpu(), scores, certain
        )

    def _run(
        self, whole: CompressedVideo, shown: Sequence[float] | None, written: Sequence[str] | None
    ) -> tuple[Tensor, float]:
        """Attention to each token, on the CPU, and the certainty of the response."""
        prompt = self.backbone.embed_prompt(whole, self.text, shown, written)
        seen = self.backbone.inspect(prompt, self.layer, self.max_new_tokens)
        assert len(seen.attention) == whole.tokens, f"{len(seen.attention)} scores for {whole.tokens} visual tokens"
        return seen.attention.float().cpu(), certainty(seen.entropies.tolist())


def whole_video(tokens: Tensor, grid: Grid | None = None) -> CompressedVideo:
    """All tokens of `[T, M, channels]`; `grid` where it follows the video."""
    frames, per_frame = tokens.shape[:2]
    numbers = torch.arange(frames, device=tokens.device)
    return CompressedVideo(
        embeddings=tokens.flatten(0, 1),
        frames=numbers.repeat_interleave(per_frame),
        cells=torch.arange(per_frame, device=tokens.device).repeat(frames),
        total_frames=frames,
        grid=grid,
    )


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
