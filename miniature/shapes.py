"""The eight shapes: antialiased masks, drawn once each, at any small displacement."""

from collections.abc import Callable
from functools import cache
from math import cos, pi, sin
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from videorouter.miniature.geometry import CELL

CANVAS: Final = 2 * CELL
"""Side of the mask in pixels: the four centre cells."""
REACH: Final = 2
"""A shape moves at most this many pixels from its resting place, each way."""

Point = tuple[float, float]
_FINE = 8  # supersampling
_RADIUS = 21.0


@cache
def mask(shape: str, dx: int = 0, dy: int = 0) -> NDArray[np.float32]:
    """Coverage 0..1 of each centre pixel by the shape, displaced by (dx, dy) pixels: float32 `[56, 56]`."""
    fine = Image.new("L", (CANVAS * _FINE, CANVAS * _FINE))
    _DRAWINGS[shape](ImageDraw.Draw(fine), CANVAS / 2 + dx, CANVAS / 2 + dy)
    blocks = np.asarray(fine, dtype=np.float32).reshape(CANVAS, _FINE, CANVAS, _FINE)
    return blocks.mean(axis=(1, 3)) / np.float32(255)


def _polygon(draw: ImageDraw.ImageDraw, points: list[Point], fill: int = 255) -> None:
    draw.polygon([(x * _FINE, y * _FINE) for x, y in points], fill=fill)


def _disc(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, fill: int = 255) -> None:
    draw.ellipse([(v * _FINE) for v in (x - radius, y - radius, x + radius, y + radius)], fill=fill)


def _spokes(x: float, y: float, radii: list[float], turn: float = -pi / 2) -> list[Point]:
    step = 2 * pi / len(radii)
    return [(x + r * cos(turn + i * step), y + r * sin(turn + i * step)) for i, r in enumerate(radii)]


def _circle(draw: ImageDraw.ImageDraw, x: float, y: float) -> None:
    _disc(draw, x, y, _RADIUS)


def _ring(draw: ImageDraw.ImageDraw, x: float, y: float) -> None:
    _disc(draw, x, y, _RADIUS)
    _disc(draw, x, y, _RADIUS * 0.55, fill=0)


def _square(draw: ImageDraw.ImageDraw, x: float, y: float) -> None:
    half = _RADIUS * 0.88
    _polygon(draw, [(x - half, y - half), (x + half, y - half), (x + half, y + half), (x - half, y + half)])


def _diamond(draw: ImageDraw.ImageDraw, x: float, y: float) -> None:
    _polygon(draw, _spokes(x, y, [_RADIUS, _RADIUS * 0.8] * 2))


def _triangle(draw: ImageDraw.ImageDraw, x: float, y: float) -> None:
    _polygon(draw, _spokes(x, y + 4, [_RADIUS + 2] * 3))


def _star(draw: ImageDraw.ImageDraw, x: float, y: float) -> None:
    _polygon(draw, _spokes(x, y + 1, [_RADIUS + 1, _RADIUS * 0.42] * 5))


def _cross(draw: ImageDraw.ImageDraw, x: float, y: float) -> None:
    long, short = _RADIUS, _RADIUS * 0.36
    for half_width, half_height in ((long, short), (short, long)):
        left, right, top, bottom = x - half_width, x + half_width, y - half_height, y + half_height
        _polygon(draw, [(left, top), (right, top), (right, bottom), (left, bottom)])


def _heart(draw: ImageDraw.ImageDraw, x: float, y: float) -> None:
    lobe = _RADIUS * 0.52
    for side in (-1, 1):
        _disc(draw, x + side * lobe * 0.95, y - lobe * 0.7, lobe)
    _polygon(draw, [(x - _RADIUS * 0.94, y - lobe * 0.3), (x + _RADIUS * 0.94, y - lobe * 0.3), (x, y + _RADIUS)])


_DRAWINGS: Final[dict[str, Callable[[ImageDraw.ImageDraw, float, float], None]]] = {
    "circle": _circle,
    "ring": _ring,
    "square": _square,
    "diamond": _diamond,
    "triangle": _triangle,
    "star": _star,
    "cross": _cross,
    "heart": _heart,
}
SHAPES: Final[tuple[str, ...]] = tuple(_DRAWINGS)
