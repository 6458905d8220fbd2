"""The named colours of the world: backgrounds, shape colours, and which pairs a scene may use."""

from typing import Final

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


def distance(first: RGB, second: RGB) -> float:
    """Euclidean distance of two RGB colours (0 to about 442)."""
    return sum((a - b) ** 2 for a, b in zip(first, second, strict=True)) ** 0.5


def may_meet(colour: str, background: str) -> bool:
    """Whether a shape of this colour stands out from this background."""
    return distance(COLOURS[colour], BACKGROUNDS[background]) >= CONFUSABLE_BELOW
