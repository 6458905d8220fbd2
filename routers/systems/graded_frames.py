"""Tokens that follow each frame's relevance, instead of two scales; in all as many as the two scales would feed (ours)."""

import math
from collections.abc import Mapping

import numpy as np
from torch import Tensor

from videorouter.routers.pooling import grids_within
from videorouter.routers.systems.frame_retention import largest_counts
from videorouter.routers.systems.pooled_frames import pooled_sizes

LEAST_RELEVANCE = 1e-3
"""Frames below it are alike."""


def graded_grids(
    grids: Mapping[int, tuple[int, int]], relevance: Tensor, grid: tuple[int, int]
) -> dict[int, tuple[int, int]]:
    """The frames of `grids` with the same tokens in all, shared out in proportion to `relevance` `[T]`.

    None gets less than the coarsest of `grids` gives, none more than all M. What proportion leaves over goes where relevance
    would bring it next.
    """
    frames = sorted(grids)
    weights = np.maximum(relevance.double().cpu().numpy()[frames], LEAST_RELEVANCE)
    counts = largest_counts(
        weights / weights.mean(),
        math.prod(grid),
        sum(math.prod(kept) for kept in grids.values()),
        pooled_sizes(grid),
        least=min(math.prod(kept) for kept in grids.values()),
        fill_last=-weights,
    )
    return {frame: grids_within(grid)[count] for frame, count in zip(frames, counts.tolist(), strict=True)}
