"""In which shape a model is shown frames: squeezed to a square, or at their own aspect ratio. Loads without torch."""

import math
from dataclasses import dataclass
from typing import Final, Literal

Aspect = Literal["square", "own"]
USUAL_SQUARE: Final = 448
"""Pixels a side of the square that Qwen-VL is shown, where nothing says another."""


@dataclass(frozen=True)
class FrameShape:
    """How frames reach a model that can see them in any shape.

    Args:
        aspect: `square` squeezes them to a square, `own` keeps their aspect ratio; models that see squares alone ignore it
        frame_size: side of the square in pixels, the family's usual one where null
        min_pixels: fewest pixels of a frame at its own aspect ratio, the checkpoint's where null
        max_pixels: most pixels of such a frame, the checkpoint's where null
    """

    aspect: Aspect = "square"
    frame_size: int | None = None
    min_pixels: int | None = None
    max_pixels: int | None = None

    def __post_init__(self) -> None:
        """Raises `ValueError` for pixels below 1, a range that is none, and options of a square beside those of own aspects."""
        for name in ("frame_size", "min_pixels", "max_pixels"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}: give 1 or more pixels")
        if self.aspect not in ("square", "own"):
            raise ValueError(f"aspect cannot be {self.aspect!r}: there are square and own")
        limits = self.min_pixels is not None or self.max_pixels is not None
        if self.aspect == "own" and self.frame_size is not None:
            raise ValueError(
                "frame_size squeezes frames to a square, min_pixels and max_pixels are for frames at their own aspect "
                "ratio: give one or the other"
            )
        if self.aspect == "square" and limits:
            raise ValueError("min_pixels and max_pixels are for frames at their own aspect ratio, not for a square")
        if self.min_pixels is not None and self.max_pixels is not None and self.min_pixels > self.max_pixels:
            raise ValueError(f"min_pixels {self.min_pixels} is above max_pixels {self.max_pixels}: give a range")

    @classmethod
    def asked(
        cls, frame_size: int | None, min_pixels: int | None, max_pixels: int | None, usual: Aspect = "own"
    ) -> "FrameShape":
        """What these options mean: limits of own aspects, or else a square's side, or else the `usual` aspect. Raises as itself."""
        limits = min_pixels is not None or max_pixels is not None
        aspect: Aspect = "own" if limits else usual if frame_size is None else "square"
        return cls(aspect, frame_size, min_pixels, max_pixels)


def smart_resize(
    height: int,
    width: int,
    factor: int,
    least: int,
    most: int,
    *,
    frames: int = 1,
    frames_per_patch: int = 1,
    enlarge_first: bool = False,
) -> tuple[int, int]:
    """(height, width): multiples of `factor` nearest to the frame's own, with `least` to `most` pixels in all `frames` together.

    The function of that name in transformers: Qwen2-VL's for one frame, Qwen3-VL's for several, which are counted in whole
    patches. `enlarge_first`, as in Qwen3-VL, enlarges a frame that is smaller than one token.
    """
    if enlarge_first and min(height, width) < factor:
        scale = max(factor / height, factor / width)
        height, width = int(height * scale), int(width * scale)
    rows, columns = round(height / factor) * factor, round(width / factor) * factor
    counted = round(frames / frames_per_patch) * frames_per_patch
    if counted * rows * columns > most:
        shrink = math.sqrt(frames * height * width / most)
        rows = max(factor, math.floor(height / shrink / factor) * factor)
        columns = max(factor, math.floor(width / shrink / factor) * factor)
    elif counted * rows * columns < least:
        grow = math.sqrt(least / (frames * height * width))
        rows = math.ceil(height * grow / factor) * factor
        columns = math.ceil(width * grow / factor) * factor
    return rows, columns
