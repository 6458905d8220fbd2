"""Average pooling of one frame's token grid to M / s tokens, after the projector (paper section 3.3; kernels ours)."""

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from videorouter.routers.routing.allocation import scaled_tokens


def pool_frames(tokens: Tensor, scale: int, grid: tuple[int, int]) -> Tensor:
    """Pool `[T, M, D]` to `[T, M', D]`, M' = the cells of `pooled_grid(grid, scale)`; `scale` 1 returns `tokens`.

    `grid` is (rows, columns) with rows * columns = M. Raises `ValueError` where they disagree.
    """
    return pool_to(tokens, pooled_grid(grid, scale), grid)


def pool_to(tokens: Tensor, kept: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """Average `[T, M, D]` on `grid` to `[T, M', D]` on the coarser grid `kept`; all of it returns `tokens`. Raises `ValueError`."""
    frames, count, width = tokens.shape
    rows, columns = grid
    if rows * columns != count:
        raise ValueError(f"a grid of {rows}x{columns} holds {rows * columns} tokens, but frames have {count}")
    if kept == grid:
        return tokens
    image = tokens.transpose(1, 2).reshape(frames, width, rows, columns)
    return functional.adaptive_avg_pool2d(image, kept).flatten(2).transpose(1, 2)


@cache
def pooled_grid(grid: tuple[int, int], scale: int) -> tuple[int, int]:
    """(rows, columns) left after compression by `scale`: exactly M / s cells where the grid divides, else at most M // s.

    Where it divides, the kernel (h, w) is as square as the grid allows, wider than high: s = 2, 4, 8, 16 on 16x16
    gives (1, 2), (2, 2), (2, 4), (4, 4). Elsewhere (14x14 at s = 8) the nearest grid below M // s is used, as square as possible.
    On a grid that is no square (ours) kernels may be higher than wide, but not longer one way than twice the other: where no
    such kernel divides it (11x19), the finest even grid (`grids_within`) of at most M // s cells is used.
    """
    rows, columns = grid
    allowed = scaled_tokens(rows * columns, scale)
    if rows != columns:
        return _pooled_oblong(grid, scale, allowed)
    exact = [
        (rows // h, columns // w)
        for h in range(1, scale + 1)
        for w in [scale // h]
        if h * w == scale and h <= w and rows % h == 0 and columns % w == 0
    ]
    candidates = exact or [(r, c) for r in range(1, rows + 1) for c in range(1, columns + 1) if r * c <= allowed]
    most = max(r * c for r, c in candidates)
    return min(
        (cells for cells in candidates if cells[0] * cells[1] == most), key=lambda cells: abs(cells[0] - cells[1])
    )


def _pooled_oblong(grid: tuple[int, int], scale: int, allowed: int) -> tuple[int, int]:
    """`pooled_grid` of a grid that is no square; of equally square kernels the wider."""
    rows, columns = grid
    kernels = [(h, scale // h) for h in range(1, scale + 1) if scale % h == 0]
    exact = [(h, w) for h, w in kernels if max(h, w) <= 2 * min(h, w) and rows % h == 0 and columns % w == 0]
    if not exact:
        return grids_within(grid)[allowed]
    h, w = min(exact, key=lambda kernel: max(kernel) / min(kernel))
    return rows // h, columns // w


@cache
def grids_within(grid: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """For every count 0..M the coarser grid with most cells, at most `count` of them (ours); entry 0 is that of 1.

    Cells are at most twice as long one way as the other, so that 13 tokens of 16x16 become 4x3 and not a row of 13; a grid of
    one row or column has no such choice. Of grids with equally many cells the most square one.
    """
    rows, columns = grid
    shapes = [(r, c) for r in range(1, rows + 1) for c in range(1, columns + 1)]
    even = [(r, c) for r, c in shapes if 1 in grid or max(rows * c, columns * r) <= 2 * min(rows * c, columns * r)]
    most_square_last = sorted(even, key=lambda shape: (-abs(rows * shape[1] - columns * shape[0]), shape))
    by_cells = {1: (1, 1)} | {r * c: (r, c) for r, c in most_square_last}
    within = [(1, 1)]
    for count in range(1, rows * columns + 1):
        within.append(by_cells.get(count, within[-1]))
    return tuple(within)


def first_cells(grid: tuple[int, int], scale: int, device: torch.device | None = None) -> Tensor:
    """`[M']` raster index, on the full grid, of the top left token that each pooled token covers."""
    return covering_cells(grid, pooled_grid(grid, scale), device)


def covering_cells(grid: tuple[int, int], kept: tuple[int, int], device: torch.device | None = None) -> Tensor:
    """`first_cells` for the coarser grid `kept`, (rows, columns)."""
    rows, columns = grid
    kept_rows, kept_columns = kept
    top = torch.arange(kept_rows, device=device) * rows // kept_rows
    left = torch.arange(kept_columns, device=device) * columns // kept_columns
    return (top[:, None] * columns + left[None, :]).flatten()
