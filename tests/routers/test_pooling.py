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
        ((16, 10), 2, (16, 5)),
        ((9, 16), 2, (9, 8)),
        ((16, 9), 2, (8, 9)),
        ((18, 32), 4, (9, 16)),
        ((18, 32), 8, (9, 8)),
    ],
)
def test_kernels_on_divisible_grids(grid: tuple[int, int], scale: int, left: tuple[int, int]) -> None:
    assert pooled_grid(grid, scale) == left


def test_a_grid_that_does_not_divide_takes_the_nearest_grid_below() -> None:
    rows, columns = pooled_grid((14, 14), 8)
    assert rows * columns <= 14 * 14 // 8
    assert rows * columns >= 24


@pytest.mark.parametrize("grid", [(11, 19), (19, 11), (16, 9), (13, 7), (2, 31), (1, 9)])
@pytest.mark.parametrize("scale", [2, 3, 4, 5, 8])
def test_grids_with_odd_and_prime_sides_are_pooled_to_even_cells_within_the_count(
    grid: tuple[int, int], scale: int
) -> None:
    rows, columns = pooled_grid(grid, scale)
    allowed = grid[0] * grid[1] // scale
    assert 0.6 * allowed <= rows * columns <= allowed or min(grid) < 3
    assert rows * columns <= allowed
    if min(grid) > 2:  # cells are at most twice as long one way as the other
        assert max(grid[0] * columns, grid[1] * rows) <= 2 * min(grid[0] * columns, grid[1] * rows)
    tokens = torch.randn(2, grid[0] * grid[1], 3)
    assert pool_frames(tokens, scale, grid).shape == (2, rows * columns, 3)


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
