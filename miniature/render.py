"""A script becomes frames, and frames become an H.264 file; same script, same bytes."""

from collections.abc import Iterator
from functools import cache
from math import cos, pi, sin
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from videorouter.miniature.geometry import CELL, CENTRE, GLYPH_MARGIN, GLYPH_SIDE, PLACES, SIDE, TILE_MARGIN
from videorouter.miniature.glyphs import GRID, bitmap
from videorouter.miniature.palette import BACKGROUNDS, COLOURS, INK, TILE
from videorouter.miniature.scenes import Scene, Script
from videorouter.miniature.shapes import REACH, mask

FRAMES_PER_TURN = 10
"""A shape circles once around its resting place in this many frames."""


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
                # Without it bytes hang on the processor, and on one they differed between two runs over the same pictures.
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
    edge, bit = GLYPH_MARGIN - TILE_MARGIN, GLYPH_SIDE // GRID
    ink = np.kron(bitmap(glyph), np.ones((bit, bit), dtype=bool))
    tile[edge : edge + GLYPH_SIDE, edge : edge + GLYPH_SIDE][ink] = INK
    return tile
