"""Location-aware redundancy removal: of two alike tokens at one place the less attended goes (AdaptToken, arXiv 2603.28696)."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from videorouter.routers.systems.similar_pairs import Similarities

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
