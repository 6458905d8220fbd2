"""What a picture of the world shows: background, coloured shape and glyphs by classical template matching.

Nothing is learned and no file of the world is read. Pictures may be JPEG and of any side between about 40 and 1000 pixels.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from videorouter.miniature.world.frame import (
    BACKGROUNDS,
    BITMAP_SIDE,
    CELL,
    CENTRE,
    COLOURS,
    GLYPH_MARGIN,
    GLYPH_SIDE,
    GLYPHS,
    PLACES,
    RGB,
    SHAPES,
    SIDE,
    TILE,
    TILE_MARGIN,
    bitmap,
)
from videorouter.miniature.world.render import REACH, mask
from videorouter.miniature.world.scenes import Figure

Floats = NDArray[np.float32]

FARTHEST_COLOUR: Final = 60.0
"""A measured colour farther than this (Euclidean, RGB 0-255) from every named one has no name."""
LEAST_SHAPE_FIT: Final = 0.75
"""Share of the centre's contrast that a shape must explain."""
LEAST_GLYPH_FIT: Final = 0.6
"""Correlation of a glyph with its bitmap below which it is not told."""


@dataclass(frozen=True)
class Perceived:
    """What one picture shows; a glyph that is too small or too blurred to tell is None."""

    background: str
    figure: Figure
    glyphs: Mapping[str, str | None]


def perceive(picture: bytes, min_glyph_pixels: float) -> Perceived | None:
    """What an encoded picture shows; None for one that shows no scene of the world (or is no picture at all).

    Glyphs are told only where they are at least `min_glyph_pixels` high in the picture as it was sent.
    """
    try:
        with Image.open(io.BytesIO(picture)) as image:
            side = min(image.size)
            if image.width != image.height:
                return None
            frame = np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR), dtype=np.float32)
    except (OSError, ValueError):
        return None
    background = _background(frame)
    if background is None or not _has_tiles(frame):
        return None
    figure = _figure(frame[CENTRE, CENTRE] - _rgb(BACKGROUNDS[background]))
    if figure is None:
        return None
    legible = side * GLYPH_SIDE / SIDE >= min_glyph_pixels
    return Perceived(background, (_named(figure[0] + _rgb(BACKGROUNDS[background]), COLOURS), figure[1]),
                     _glyphs(frame) if legible else dict.fromkeys(PLACES))  # fmt: skip


def _background(frame: Floats) -> str | None:
    """The colour near the corners of the centre: inside what blurred tiles reach, outside what shapes do."""
    centre, near = frame[CENTRE, CENTRE], (slice(2, 6), slice(-6, -2))
    corners = [centre[rows, columns] for rows, columns in product(near, repeat=2)]
    measured = np.median(np.concatenate([corner.reshape(-1, 3) for corner in corners]), axis=0)
    name = _named(measured, BACKGROUNDS)
    return name if np.linalg.norm(measured - _rgb(BACKGROUNDS[name])) <= FARTHEST_COLOUR else None


def _named(measured: Floats, palette: Mapping[str, RGB]) -> str:
    return min(palette, key=lambda name: float(np.linalg.norm(measured - _rgb(palette[name]))))


def _rgb(colour: RGB) -> Floats:
    return np.array(colour, dtype=np.float32)


def _has_tiles(frame: Floats) -> bool:
    """Whether the rims of the twelve tiles are light, as the world's are; small pictures blur them with what is around."""
    rims = []
    for row, column in PLACES.values():
        top, left = row * CELL + TILE_MARGIN + 1, column * CELL + TILE_MARGIN + 1
        side = CELL - 2 * TILE_MARGIN - 2
        rims.append(frame[top, left : left + side].mean(axis=0))
        rims.append(frame[top + side - 1, left : left + side].mean(axis=0))
    return float(np.linalg.norm(np.mean(rims, axis=0) - _rgb(TILE))) <= 2 * FARTHEST_COLOUR


def _figure(contrast: Floats) -> tuple[Floats, str] | None:
    """Best fit of (colour minus background) x coverage to the centre's contrast `[56, 56, 3]`: that colour, and the shape."""
    names, masks, energies = _shape_masks()
    flat = contrast.reshape(-1, 3)
    total = float((flat**2).sum())
    fits = masks @ flat
    explained = (fits**2).sum(axis=1) / energies
    best = int(explained.argmax())
    if total < 1e5 or explained[best] < LEAST_SHAPE_FIT * total:
        return None
    return fits[best] / energies[best], names[best]


@cache
def _shape_masks() -> tuple[list[str], Floats, Floats]:
    """Every shape at every displacement: names, coverages `[N, 56 * 56]` and their energies `[N]`."""
    reach = range(-REACH, REACH + 1)
    names = [shape for shape in SHAPES for _ in product(reach, reach)]
    masks = np.stack([mask(shape, dx, dy).ravel() for shape in SHAPES for dx, dy in product(reach, reach)])
    return names, masks, (masks**2).sum(axis=1)


def _glyphs(frame: Floats) -> dict[str, str | None]:
    brightness = frame.mean(axis=2)
    patches = np.stack(
        [
            brightness[
                row * CELL + GLYPH_MARGIN : row * CELL + GLYPH_MARGIN + GLYPH_SIDE,
                column * CELL + GLYPH_MARGIN : column * CELL + GLYPH_MARGIN + GLYPH_SIDE,
            ].ravel()
            for row, column in PLACES.values()
        ]
    )
    fits = _unit(-patches) @ _glyph_templates().T
    best = fits.argmax(axis=1)
    return {
        place: GLYPHS[glyph] if fit[glyph] >= LEAST_GLYPH_FIT else None
        for place, glyph, fit in zip(PLACES, best.tolist(), fits, strict=True)
    }


@cache
def _glyph_templates() -> Floats:
    """Unit templates `[24, 20 * 20]`, ink positive."""
    bit = np.ones((GLYPH_SIDE // BITMAP_SIDE, GLYPH_SIDE // BITMAP_SIDE))
    return _unit(np.stack([np.kron(bitmap(glyph), bit).ravel() for glyph in GLYPHS]).astype(np.float32))


def _unit(rows: Floats) -> Floats:
    """Rows with mean 0 and length 1 (a flat row stays 0)."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    return centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6)
