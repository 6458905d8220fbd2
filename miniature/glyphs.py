"""The symbols of the world: bold 5x5 bitmaps, mutually distinct under template matching."""

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

GRID: Final = 5
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


@cache
def bitmap(name: str) -> NDArray[np.bool_]:
    """The bitmap of a glyph: bool `[5, 5]`, True where there is ink."""
    return np.array([[bit == "#" for bit in row] for row in BITMAPS[name].split()])
