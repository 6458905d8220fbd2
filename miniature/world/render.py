"""A script becomes frames, and frames become an H.264 file; same script, same bytes. Shapes are antialiased masks."""

from collections.abc import Callable, Iterator
from functools import cache
from math import cos, pi, sin
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from videorouter.miniature.world.frame import (
    BACKGROUNDS,
    BITMAP_SIDE,
    CELL,
    CENTRE,
    COLOURS,
    GLYPH_MARGIN,
    GLYPH_SIDE,
    INK,
    PLACES,
    SHAPES,
    SIDE,
    TILE,
    TILE_MARGIN,
    bitmap,
)
from videorouter.miniature.world.scenes import Scene, Script

FRAMES_PER_TURN = 10
"""A shape circles once around its resting place in this many frames."""
CANVAS: Final = 2 * CELL
"""Side of the mask in pixels: the four centre cells."""
REACH: Final = 2
"""A shape moves at most this many pixels from its resting place, each way."""

Point = tuple[float, float]
_FINE = 8  # supersampling
_RADIUS = 21.0


def render_scene(scene: Scene, count: int) -> Iterator[NDArray[np.uint8]]:
    """The first `count` frames of a scene: uint8 `[112, 112, 3]` RGB each."""
    still = _still(scene)
    for index in range(count):
        angle = 2 * pi * (index / FRAMES_PER_TURN + scene.first / 7)
        frame = still.copy()
        coverage = mask(scene.shape, round(REACH * cos(angle)), round(REACH * sin(angle)))[..., None]
        colour = np.array(COLOURS[scene.colour], dtype=np.float32)
        ground = frame[CENTRE, CENTRE].astype(np.float32)
        frame[CENTRE, CENTRE] = np.rint(ground + coverage * (colour - ground)).astype(np.uint8)
        yield frame


def render_script(script: Script) -> Iterator[NDArray[np.uint8]]:
    """All frames of a video in order: uint8 `[112, 112, 3]` RGB each."""
    for scene in script.scenes:
        first, end = script.frames_of(scene)
        yield from render_scene(scene, end - first)


def write_video(path: Path, script: Script, crf: int = 12) -> None:
    """Encode a script as H.264 in mp4.

    One thread, and no code of a processor's own: the bytes are then the same everywhere the library is.
    """
    import av

    with av.open(str(path), mode="w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream(
            "libx264",
            rate=script.fps,
            options={
                "crf": str(crf),
                "preset": "veryfast",
                "tune": "animation",
                # Without it the bytes depend on the processor, and on one they differed between two runs over the same pictures.
                "x264-params": "cpu-independent=1",
            },
        )
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        stream.codec_context.gop_size = 6 * script.fps
        for frame in render_script(script):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


@cache
def mask(shape: str, dx: int = 0, dy: int = 0) -> NDArray[np.float32]:
    """Coverage 0..1 of each centre pixel by the shape, displaced by (dx, dy) pixels: float32 `[56, 56]`."""
    fine = Image.new("L", (CANVAS * _FINE, CANVAS * _FINE))
    _DRAWINGS[shape](ImageDraw.Draw(fine), CANVAS / 2 + dx, CANVAS / 2 + dy)
    blocks = np.asarray(fine, dtype=np.float32).reshape(CANVAS, _FINE, CANVAS, _FINE)
    return blocks.mean(axis=(1, 3)) / np.float32(255)


def _still(scene: Scene) -> NDArray[np.uint8]:
    """The scene without its shape."""
    frame = np.empty((SIDE, SIDE, 3), dtype=np.uint8)
    frame[:] = BACKGROUNDS[scene.background]
    for (row, column), glyph in zip(PLACES.values(), scene.glyphs, strict=True):
        top, left = row * CELL + TILE_MARGIN, column * CELL + TILE_MARGIN
        frame[top : top + CELL - 2 * TILE_MARGIN, left : left + CELL - 2 * TILE_MARGIN] = _tile(glyph)
    return frame


@cache
def _tile(glyph: str) -> NDArray[np.uint8]:
    """A light tile with its dark glyph: uint8 `[24, 24, 3]`."""
    side = CELL - 2 * TILE_MARGIN
    tile = np.empty((side, side, 3), dtype=np.uint8)
    tile[:] = TILE
    edge, bit = GLYPH_MARGIN - TILE_MARGIN, GLYPH_SIDE // BITMAP_SIDE
    ink = np.kron(bitmap(glyph), np.ones((bit, bit), dtype=bool))
    tile[edge : edge + GLYPH_SIDE, edge : edge + GLYPH_SIDE][ink] = INK
    return tile


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


_DRAWINGS: Final[dict[str, Callable[[ImageDraw.ImageDraw, float, float], None]]] = dict(
    zip(SHAPES, (_circle, _ring, _square, _diamond, _triangle, _star, _cross, _heart), strict=True)
)
