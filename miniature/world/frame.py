"""What a frame is made of: places in a 4x4 grid of cells, named colours, glyphs, and the names of the shapes.

A frame is 112x112 pixels: InternVL's geometry scaled down (patch 14, pixel shuffle 0.5, so one token a 28-pixel cell).
The four centre cells hold the coloured shape; each of the twelve ring cells holds one small glyph on a light tile.
Pooled 4-fold the grid is 2x2, one quadrant a cell, so three glyphs share each pooled token.
"""

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

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

RGB = tuple[int, int, int]

BACKGROUNDS: Final[dict[str, RGB]] = {
    "navy": (24, 32, 104),
    "maroon": (108, 14, 62),
    "forest": (22, 84, 44),
    "teal": (16, 132, 136),
    "brown": (140, 92, 36),
    "gray": (128, 130, 134),
    "sand": (216, 194, 144),
    "lavender": (190, 168, 232),
}
COLOURS: Final[dict[str, RGB]] = {
    "red": (232, 30, 36),
    "orange": (255, 140, 10),
    "yellow": (252, 232, 48),
    "green": (52, 204, 64),
    "cyan": (64, 226, 246),
    "blue": (44, 92, 250),
    "magenta": (230, 40, 216),
    "white": (250, 250, 250),
}
TILE: Final[RGB] = (238, 238, 232)
INK: Final[RGB] = (16, 16, 20)

CONFUSABLE_BELOW: Final = 130.0
"""Two colours closer than this (Euclidean, RGB 0-255) never meet in one scene."""

BITMAP_SIDE: Final = 5
"""Bits along one side of a bitmap."""

BITMAPS: Final[dict[str, str]] = {
    "F": "##### #.... ####. #.... #....",
    "H": "#...# #...# ##### #...# #...#",
    "K": "#..## #.#.. ##... #.#.. #..##",
    "L": "#.... #.... #.... #.... #####",
    "N": "#...# ##..# #.#.# #..## #...#",
    "T": "##### ..#.. ..#.. ..#.. ..#..",
    "V": "#...# #...# .#.#. .#.#. ..#..",
    "X": "#...# .#.#. ..#.. .#.#. #...#",
    "Y": "#...# .#.#. ..#.. ..#.. ..#..",
    "Z": "##### ...#. ..#.. .#... #####",
    "2": "####. ....# .###. #.... #####",
    "4": "#..#. #..#. ##### ...#. ...#.",
    "5": "##### #.... ####. ....# ####.",
    "7": "##### ....# ...#. ..#.. ..#..",
    "plus": "..#.. ..#.. ##### ..#.. ..#..",
    "hash": ".#.#. ##### .#.#. ##### .#.#.",
    "frame": "##### #...# #...# #...# #####",
    "bars": "##### ..... ##### ..... #####",
    "fence": "#.#.# #.#.# #.#.# #.#.# #.#.#",
    "block": "..... .###. .###. .###. .....",
    "checks": "#.#.# .#.#. #.#.# .#.#. #.#.#",
    "slope": "....# ...## ..### .#### #####",
    "arrow": "..#.. .###. #.#.# ..#.. ..#..",
    "dots": "##.## ##.## ..... ##.## ##.##",
}
GLYPHS: Final[tuple[str, ...]] = tuple(BITMAPS)

SHAPES: Final[tuple[str, ...]] = ("circle", "ring", "square", "diamond", "triangle", "star", "cross", "heart")
"""`render.py` draws them."""


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


def may_meet(colour: str, background: str) -> bool:
    """Whether a shape of this colour stands out from this background."""
    return _distance(COLOURS[colour], BACKGROUNDS[background]) >= CONFUSABLE_BELOW


@cache
def bitmap(name: str) -> NDArray[np.bool_]:
    """The bitmap of a glyph: bool `[5, 5]`, True where there is ink."""
    return np.array([[bit == "#" for bit in row] for row in BITMAPS[name].split()])


def _distance(first: RGB, second: RGB) -> float:
    """Euclidean distance of two RGB colours (0 to about 442)."""
    return sum((a - b) ** 2 for a, b in zip(first, second, strict=True)) ** 0.5
