"""Average pooling of one frame's token grid to M / s tokens, after the projector (paper section 3.3; kernels ours)."""

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from routers.allocation import scaled_tokens


def pool_frames(tokens: Tensor, scale: int, grid: tuple[int, int]) -> Tensor:
    """Pool `[T, M, D]` to `[T, M', D]`, M' = the cells of `pooled_grid(grid, scale)`; `scale` 1 returns `tokens`.

    `grid` is (rows, columns) with rows * columns = M. Raises `ValueError` where they disagree.
    """
    frames, count, width = tokens.shape
    rows, columns = grid
    if rows * columns != count:
        raise ValueError(f"a grid of {rows}x{columns} holds {rows * columns} tokens, but frames have {count}")
    if scale == 1:
        return tokens
    image = tokens.transpose(1, 2).reshape(frames, width, rows, columns)
    pooled = functional.adaptive_avg_pool2d(image, pooled_grid(grid, scale))
    return pooled.flatten(2).transpose(1, 2)


@cache
def pooled_grid(grid: tuple[int, int], scale: int) -> tuple[int, int]:
    """(rows, columns) left after compression by `scale`: exactly M / s cells where the grid divides, else at most M // s.

    Where it divides, the kernel (h, w) is as square as the grid allows, wider than high: s = 2, 4, 8, 16 on 16x16
    gives (1, 2), (2, 2), (2, 4), (4, 4). Elsewhere (14x14 at s = 8) the nearest grid below M // s is used, as square as possible.
    """
    rows, columns = grid
    allowed = scaled_tokens(rows * columns, scale)
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


def first_cells(grid: tuple[int, int], scale: int, device: torch.device | None = None) -> Tensor:
    """`[M']` raster index, on the full grid, of the top left token that each pooled token covers."""
    rows, columns = grid
    kept_rows, kept_columns = pooled_grid(grid, scale)
    top = torch.arange(kept_rows, device=device) * rows // kept_rows
    left = torch.arange(kept_columns, device=device) * columns // kept_columns
    return (top[:, None] * columns + left[None, :]).flatten()
