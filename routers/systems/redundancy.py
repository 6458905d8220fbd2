"""Location-aware redundancy removal: of two alike tokens at one place the less attended goes (AdaptToken, arXiv 2603.28696)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

ROWS_AT_ONCE = 1024
FORWARD = ((0, 0), (0, 1), (1, -1), (1, 0), (1, 1))
"""A cell itself and the half of its eight neighbours that comes after it: every pair of cells is met once."""


@dataclass(frozen=True)
class Pairs:
    """P pairs `first < second` with their similarity, as arrays `[P]`."""

    similarity: np.ndarray
    first: np.ndarray
    second: np.ndarray

    def __len__(self) -> int:
        return len(self.similarity)

    def best(self, count: int) -> "Pairs":
        """The `count` most similar, in falling order; equal ones by first, then by second token."""
        order = np.lexsort((self.second, self.first, -self.similarity))[:count]
        return self.at(order)

    def at(self, where: np.ndarray) -> "Pairs":
        """The pairs chosen by a mask or by indices."""
        return Pairs(self.similarity[where], self.first[where], self.second[where])

    def and_also(self, others: "Pairs") -> "Pairs":
        """Both, one after another."""
        return Pairs(
            np.concatenate([self.similarity, others.similarity]),
            np.concatenate([self.first, others.first]),
            np.concatenate([self.second, others.second]),
        )


class Similarities:
    """Cosine x exp(-|t_i - t_j| / sigma_t) of `[N, D]` features at `times` `[N]` seconds and (row, column) `cells` `[N, 2]`."""

    def __init__(self, features: Tensor, times: Tensor, cells: Tensor, sigma_t: float) -> None:
        """float64 features are compared in float64, others in float32."""
        exact = features.dtype == torch.float64
        self.directions = functional.normalize(features if exact else features.float(), dim=-1)
        self.times = times.to(self.directions.device, torch.float64)
        self.sigma_t = sigma_t
        self.cells = cells.cpu().numpy()

    def top(self, alive: np.ndarray, count: int) -> Pairs:
        """The `count` most similar pairs of the tokens numbered in `alive`, as `Pairs.best` orders them.

        Memory is that of a few times `count` pairs and of `ROWS_AT_ONCE` tokens against all that may pair with them.
        """
        found = Pairs(np.empty(0, dtype=np.float32), np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
        least = -np.inf
        for rows, columns in self._meeting(alive):
            block = self._pairs(rows, columns)
            found = found.and_also(block.at(block.similarity >= least))
            if len(found) > 4 * count:
                found = found.best(count)
                least = found.similarity[-1]
        return found.best(count)

    def _meeting(self, alive: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Some tokens of a cell, and those they may pair with: themselves, the cell's others, the cells after it."""
        places, place_of = np.unique(self.cells[alive], axis=0, return_inverse=True)
        place_of = place_of.ravel()
        by_place = np.split(alive[np.argsort(place_of, kind="stable")], np.cumsum(np.bincount(place_of))[:-1])
        at = {(int(row), int(column)): members for (row, column), members in zip(places, by_place, strict=True)}
        for (row, column), members in at.items():
            around = [at[place] for down, right in FORWARD if (place := (row + down, column + right)) in at]
            columns = np.concatenate(around)
            for start in range(0, len(members), ROWS_AT_ONCE):
                yield members[start : start + ROWS_AT_ONCE], columns[start:]

    def _pairs(self, rows: np.ndarray, columns: np.ndarray) -> Pairs:
        """All pairs of `rows` with `columns`, which begin with `rows`: above the diagonal each stands once."""
        device = self.directions.device
        down, right = torch.from_numpy(rows).to(device), torch.from_numpy(columns).to(device)
        gaps = (self.times[down, None] - self.times[None, right]).abs()
        nearness = torch.exp(-gaps / self.sigma_t).to(self.directions.dtype)
        similarity = self.directions[down] @ self.directions[right].T * nearness
        i, j = np.triu_indices(len(rows), k=1, m=len(columns))
        first, second = np.minimum(rows[i], columns[j]), np.maximum(rows[i], columns[j])
        return Pairs(similarity.cpu().numpy()[i, j], first, second)


SIGMA_T: Final = 10.0
"""Seconds after which likeness counts 1/e (ours)."""
PAIRS_A_ROUND: Final = 100_000


def remove_redundant(
    features: Tensor,
    scores: Tensor | Sequence[float],
    times: Tensor | Sequence[float],
    cells: Tensor | Sequence[int] | Sequence[tuple[int, int]],
    keep: int,
    sigma_t: float = SIGMA_T,
) -> Tensor:
    """Numbers of the `keep` tokens that stay of N, ascending, `[min(keep, N)]` on the CPU.

    Again and again the most similar kept pair loses its less attended member (AdaptToken). Similarity is cosine x
    exp(-|t_i - t_j| / sigma_t), and only tokens of the same or of neighbouring cells (eight) are a pair (form ours).
    `features` `[N, D]`, `scores` `[N]`, `times` `[N]` seconds, `cells` (row, column) `[N, 2]`, or flat numbers `[N]`: these do
    not tell neighbours, and pair equal numbers alone. Where pairs run out, the least attended go (ours). Of equally similar
    pairs the first in token order is taken, of equally attended tokens the later goes: the result is deterministic.
    Raises `ValueError` for lengths that differ, a negative `keep`, or `sigma_t` not above 0.
    """
    count = len(features)
    scored = torch.as_tensor(scores).detach().cpu().double().numpy()
    moments, places = torch.as_tensor(times, dtype=torch.float64), torch.as_tensor(cells)
    _check(count, scored, moments, places, keep, sigma_t)
    if places.ndim == 1:  # rows two apart have no neighbours
        places = torch.stack([2 * places, torch.zeros_like(places)], dim=1)
    kept = np.ones(count, dtype=bool)
    surplus = count - keep
    if surplus > 0:
        similarities = Similarities(features.detach(), moments, places, sigma_t)
        while surplus > 0:
            dropped = _drop(kept, scored, similarities, surplus)
            surplus -= dropped
            if not dropped:
                break
    if surplus > 0:
        alive = np.flatnonzero(kept)
        kept[alive[np.lexsort((-alive, scored[alive]))[:surplus]]] = False
    return torch.from_numpy(np.flatnonzero(kept))


def _drop(kept: np.ndarray, scores: np.ndarray, similarities: Similarities, surplus: int) -> int:
    """Clear up to `surplus` of `kept` by the most similar pairs of one round; how many were cleared.

    Similarities never change, so walking the pairs in falling order and passing over those with a dropped member does what a
    heap would; pairs below the round's are sought among what is left in the next.
    """
    dropped = 0
    pairs = similarities.top(np.flatnonzero(kept), max(PAIRS_A_ROUND, 8 * surplus))
    for first, second in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True):
        if kept[first] and kept[second]:
            kept[first if scores[first] < scores[second] else second] = False
            dropped += 1
            if dropped == surplus:
                break
    return dropped


def _check(count: int, scores: np.ndarray, times: Tensor, cells: Tensor, keep: int, sigma_t: float) -> None:
    lengths = {"scores": len(scores), "times": len(times), "cells": len(cells)}
    if any(length != count for length in lengths.values()):
        raise ValueError(f"{count} features need as many scores, times and cells, got {lengths}")
    if count and not (cells.ndim == 1 or cells.shape[1:] == (2,)):
        raise ValueError(f"cells of shape {tuple(cells.shape)}: give (row, column) pairs [N, 2] or flat numbers [N]")
    if keep < 0 or not sigma_t > 0:
        raise ValueError(f"keep is {keep} and sigma_t {sigma_t}: keep must not be negative, sigma_t must be above 0")
