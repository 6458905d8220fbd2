"""Where things stand in a frame: the 4x4 grid of cells, the twelve named places of its ring, their quadrants.

A frame is 112x112 pixels: InternVL's geometry scaled down (patch 14, pixel shuffle 0.5, so one token a 28-pixel cell).
The four centre cells hold the coloured shape; each of the twelve ring cells holds one small glyph on a light tile.
Pooled 4-fold the grid is 2x2, one quadrant a cell, so three glyphs share each pooled token.
"""

from typing import Final

SIDE: Final = 112
CELL: Final = 28
GRID: Final = (SIDE // CELL, SIDE // CELL)
"""Rows and columns of cells, which are a frame's tokens in raster order."""
TILE_MARGIN: Final = 2
"""Pixels of background between a cell's border and its tile."""
GLYPH_MARGIN: Final = 4
GLYPH_SIDE: Final = 20
"""Height and width of a glyph in pixels of the full frame: five bits of four pixels."""
CENTRE: Final = slice(CELL, 3 * CELL)
"""Rows and columns of the four centre cells."""

PLACES: Final[dict[str, tuple[int, int]]] = {
    "top left corner": (0, 0),
    "left part of the top edge": (0, 1),
    "right part of the top edge": (0, 2),
    "top right corner": (0, 3),
    "upper part of the left edge": (1, 0),
    "upper part of the right edge": (1, 3),
    "lower part of the left edge": (2, 0),
    "lower part of the right edge": (2, 3),
    "bottom left corner": (3, 0),
    "left part of the bottom edge": (3, 1),
    "right part of the bottom edge": (3, 2),
    "bottom right corner": (3, 3),
}
"""Name -> (row, column) of the cell; the order is the order of a scene's glyphs."""
PLACE_NAMES: Final[tuple[str, ...]] = tuple(PLACES)


def quadrant(place: str) -> tuple[int, int]:
    """The quadrant (row, column), each 0 or 1, that a place belongs to."""
    row, column = PLACES[place]
    return row // 2, column // 2


def cell_of(place: str) -> int:
    """Raster index of a place's cell."""
    row, column = PLACES[place]
    return row * GRID[1] + column


def places_beside(place: str) -> tuple[str, ...]:
    """The three places of this place's quadrant, itself included, in table order."""
    return tuple(other for other in PLACE_NAMES if quadrant(other) == quadrant(place))
