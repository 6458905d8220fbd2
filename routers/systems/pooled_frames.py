"""Frames pooled to token counts of their own: how pooling systems take part in frame compression adjustment (ours)."""

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from videorouter.routers.pooling import grids_within
from videorouter.routers.systems.base import CompressedVideo, pooled_video


def pooled_sizes(grid: tuple[int, int]) -> np.ndarray:
    """int64 `[M + 1]`: the cells of the finest even grid of at most k tokens, for k in 0..M."""
    return np.array([rows * columns for rows, columns in grids_within(grid)])


def pool_to_counts(video_tokens: Tensor, counts: Mapping[int, int], grid: tuple[int, int]) -> CompressedVideo:
    """The frames of `[T, M, D]` that `counts` names, each averaged to the finest even grid of at most its count."""
    return pooled_video(video_tokens, {frame: grids_within(grid)[count] for frame, count in counts.items()}, grid)
