"""Routing before encoding: all frames are seen small, and in full only those whose tokens are needed in full (ours)."""

from collections.abc import Mapping

from torch import Tensor

from videorouter.routers.systems.base import CompressedVideo, assembled, averaged
from videorouter.routers.token_source import TokenSource
from videorouter.shards.policy import Policy

Grid = tuple[int, int]


def holds(small: Grid, kept: Grid) -> bool:
    """Whether tokens on the grid `small` can be averaged to the grid `kept`."""
    return small[0] >= kept[0] and small[1] >= kept[1]


def screened_video(
    small: Tensor | None,
    small_grid: Grid,
    full: TokenSource,
    grids: Mapping[int, Grid],
    grid: Grid,
    policy: Policy,
    relevance: Tensor | None,
) -> CompressedVideo:
    """The frames that `grids` names, averaged from `small` `[T, m, channels]` where that holds their grid, else from `full`.

    `small` may be None where none is needed. Of `full` only those other frames are asked for, all in one go.
    """
    in_full = sorted(frame for frame, kept in grids.items() if small is None or not holds(small_grid, kept))
    coarse = sorted(grids.keys() - set(in_full))
    pooled = averaged(full[in_full], in_full, grids, grid) if in_full else {}
    if coarse:
        assert small is not None
        pooled |= averaged(small[coarse], coarse, grids, small_grid)
    return assembled(pooled, grids, grid, len(full), policy, relevance)
