"""Pooling halves, quarters and eighths a frame on the grid, and only averages."""

import pytest
import torch

from videorouter.routers.routing.pooling import first_cells, pool_frames, pooled_grid


@pytest.mark.parametrize(
    ("grid", "scale", "left"),
    [
        ((16, 16), 1, (16, 16)),
        ((16, 16), 2, (16, 8)),
        ((16, 16), 4, (8, 8)),
        ((16, 16), 8, (8, 4)),
        ((16, 16), 16, (4, 4)),
        ((4, 4), 2, (4, 2)),
        ((4, 4), 4, (2, 2)),
        ((4, 4), 8, (2, 1)),
    ],
)
def test_kernels_on_divisible_grids(grid: tuple[int, int], scale: int, left: tuple[int, int]) -> None:
    assert pooled_grid(grid, scale) == left


def test_a_grid_that_does_not_divide_takes_the_nearest_grid_below() -> None:
    rows, columns = pooled_grid((14, 14), 8)
    assert rows * columns <= 14 * 14 // 8
    assert rows * columns >= 24


def test_pooling_is_the_mean_of_the_covered_cells() -> None:
    tokens = torch.arange(16.0).reshape(1, 16, 1)
    assert pool_frames(tokens, 4, (4, 4)).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert pool_frames(tokens, 2, (4, 4)).flatten().tolist() == [0.5, 2.5, 4.5, 6.5, 8.5, 10.5, 12.5, 14.5]
    assert first_cells((4, 4), 4).tolist() == [0, 2, 8, 10]


def test_scale_one_returns_the_tokens() -> None:
    tokens = torch.randn(2, 16, 3)
    assert pool_frames(tokens, 1, (4, 4)) is tokens


def test_a_grid_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="frames have 15"):
        pool_frames(torch.randn(1, 15, 2), 4, (4, 4))
