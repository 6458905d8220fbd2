"""How a contender looks in every plot of the page: a colour, and a form that tells it apart without the colour."""

from typing import Final, NamedTuple

# Okabe and Ito's palette as classes of page.css: black is ink there, so that it shows on dark pages, too.
COLOURS: Final = 8
_SHAPES: Final = {
    "circle": "M0,-5A5,5 0 1,1 0,5A5,5 0 1,1 0,-5Z",
    "square": "M-4.5,-4.5H4.5V4.5H-4.5Z",
    "diamond": "M0,-6.2L6.2,0L0,6.2L-6.2,0Z",
    "triangle": "M0,-6L5.6,4.4H-5.6Z",
    "down": "M0,6L5.6,-4.4H-5.6Z",
    "plus": "M-1.9,-5.8H1.9V-1.9H5.8V1.9H1.9V5.8H-1.9V1.9H-5.8V-1.9H-1.9Z",
    "star": "M0,-6.6L1.6,-2.1L6.3,-2L2.6,0.8L3.9,5.4L0,2.7L-3.9,5.4L-2.6,0.8L-6.3,-2L-1.6,-2.1Z",
}
_DASHES: Final = ("none", "6 3", "2 3")


class Mark(NamedTuple):
    """`colour` counts the classes `c0`, `c1`, ... of the page; `path` is drawn around the origin; `dash` is of its lines."""

    colour: int
    path: str
    dash: str
    hollow: bool

    @property
    def css(self) -> str:
        """Classes."""
        return f"mark c{self.colour}{' hollow' if self.hollow else ''}"


def mark(place: int, hollow: bool) -> Mark:
    """The mark of the contender at `place` of all; hollow where it stands apart. 56 differ before the first comes again."""
    shapes = list(_SHAPES.values())
    return Mark(place % COLOURS, shapes[place % len(shapes)], _DASHES[place // COLOURS % len(_DASHES)], hollow)
