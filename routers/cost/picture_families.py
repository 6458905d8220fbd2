"""What a picture costs in the open families, as their published image processors and vLLM count it.

InternVL and LLaVA-OneVision have tiles of one size, so a smaller picture need not be cheaper; Qwen-VL charges pixels.
"""

import math
from dataclasses import dataclass
from functools import cache

from videorouter.routers.backbones.frame_shape import smart_resize
from videorouter.routers.backbones.own_aspect import NARROWEST
from videorouter.routers.cost.picture_cost import PictureCost


@dataclass(frozen=True)
class InternVLPictures(PictureCost):
    """Tiles of `side` pixels with `tile_tokens` each, and one more of the whole picture wherever there are several (`thumbnail`).

    The grid of tiles is the one of `least` to `most` tiles whose aspect ratio is nearest to the picture's. It hardly follows the
    size: a picture of 640 x 360 pixels has 2 x 1 tiles and costs 768 tokens, one of 640 x 480 has 4 x 3 and costs 3,328, and a
    square one costs 256 up to 633 pixels a side. Of grids equally near, the larger is taken where its tiles have less than twice
    the picture's pixels. Source: `get_optimal_tiled_canvas` in transformers' GotOcr2 image processor, with which
    `InternVLProcessor` always crops; vLLM does the same (`interns1.py`, and `internvl.py` for the authors' own format).
    """

    side: int = 448
    tile_tokens: int = 256
    least: int = 1
    most: int = 12
    thumbnail: bool = True

    def _charged(self, height: int, width: int) -> int:
        rows, columns = self._grid(height, width)
        tiles = rows * columns
        return self.tile_tokens * (tiles + 1 if tiles > 1 and self.thumbnail else tiles)

    def frame_size(self, tokens: int, height: int, width: int) -> tuple[int, int] | None:
        """Squeezed to one square tile, as the family's video processor squeezes every frame; never more tiles than that."""
        return (self.side, self.side) if self.tokens(self.side, self.side) <= tokens else None

    def least_frame(self, height: int, width: int) -> int:
        return self.tokens(self.side, self.side)

    def _grid(self, height: int, width: int) -> tuple[int, int]:
        """(rows, columns) of tiles, without the thumbnail."""
        if self.most <= 1:
            return 1, 1
        ratio, pixels = width / height, height * width
        nearest, best = math.inf, (1, 1)
        for columns, rows in _grids(self.least, self.most):
            apart = abs(ratio - columns / rows)
            covered = 0.5 * self.side * self.side * columns * rows
            if apart < nearest or (apart == nearest and pixels > covered):
                nearest, best = apart, (rows, columns)
        return best


@dataclass(frozen=True)
class QwenPictures(PictureCost):
    """One token a square of `factor` pixels, of the picture resized to `min_pixels` to `max_pixels`.

    Source: `smart_resize` in transformers' Qwen2-VL image processor, which serves Qwen2.5-VL and Qwen3-VL too; vLLM calls it
    (`qwen2_vl.py`, `qwen3_vl.py`). These are the limits of images: those of videos are others.
    """

    factor: int = 28
    min_pixels: int = 3136
    max_pixels: int = 12_845_056

    def _charged(self, height: int, width: int) -> int:
        if max(height, width) > NARROWEST * min(height, width):
            raise ValueError(
                f"a picture of {width}x{height} pixels is too narrow: neither side may be over {NARROWEST} times the other"
            )
        rows, columns = smart_resize(height, width, self.factor, self.min_pixels, self.max_pixels)
        return (rows // self.factor) * (columns // self.factor)


@dataclass(frozen=True)
class LlavaOnevisionPictures(PictureCost):
    """The whole picture at `side` pixels, `rows` x `rows` tokens, and again in tiles: one of the sizes in `pinpoints`.

    `pinpoints` are (height, width). Of the tiles, padding is dropped, a token ends every row, and more than `max_tiles` tiles'
    worth is shrunk. So the least that a square costs is 1,485 tokens, and 1,149 what is 16:9. `dropped` tokens are the class
    token's, where the tower has one.

    Source: `LlavaOnevisionProcessor._get_number_of_features` in transformers; vLLM counts the same (`llava_onevision.py`). It is
    what each of several pictures costs in vLLM; `apply_chat_template` of transformers itself gives several pictures of one message
    730 tokens each.
    """

    pinpoints: tuple[tuple[int, int], ...] = tuple(
        (384 * rows, 384 * columns) for rows in range(1, 7) for columns in range(1, 7)
    )
    side: int = 384
    rows: int = 27
    max_tiles: int = 9
    dropped: int = 0

    def _charged(self, height: int, width: int) -> int:
        best = self._pinpoint(height, width)
        rows, columns = self.rows * (best[0] // self.side), self.rows * (best[1] // self.side)
        if width / height > columns / rows:
            rows -= (rows - int(round(height * (columns / width), 7))) // 2 * 2
        else:
            columns -= (columns - int(round(width * (rows / height), 7))) // 2 * 2
        shrink = math.sqrt(rows * columns / (self.max_tiles * self.rows**2))
        if shrink > 1.1:
            rows, columns = int(rows // shrink), int(columns // shrink)
        return self.rows**2 + rows * (columns + 1) - self.dropped

    def _pinpoint(self, height: int, width: int) -> tuple[int, int]:
        """The size that keeps most of the picture's pixels, and of those the one with least padding."""
        best, most, wasted = self.pinpoints[0], 0, math.inf
        for size in self.pinpoints:
            scale = min(size[1] / width, size[0] / height)
            kept = min(int(width * scale) * int(height * scale), width * height)
            waste = size[0] * size[1] - kept
            if kept > most or (kept == most and waste < wasted):
                best, most, wasted = size, kept, waste
        return best


@cache
def _grids(least: int, most: int) -> list[tuple[int, int]]:
    """(columns, rows) of `least` to `most` tiles, fewest first, of as many the narrowest first."""
    grids = [(columns, rows) for columns in range(1, most + 1) for rows in range(1, most // columns + 1)]
    return sorted((grid for grid in grids if math.prod(grid) >= least), key=math.prod)
