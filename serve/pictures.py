"""Frames as pictures: for an upstream, and for the page."""

import base64
import io

import numpy as np
from PIL import Image

QUALITY = 90
"""Of JPEG: at 90 a frame looks as it did."""


def jpeg(frame: np.ndarray, size: tuple[int, int] | None = None) -> bytes:
    """uint8 RGB `[H, W, 3]` as JPEG, of `size` (height, width) in pixels where that is given."""
    image = Image.fromarray(frame)
    if size is not None and size != (image.height, image.width):
        image = image.resize((size[1], size[0]), Image.Resampling.BICUBIC)
    written = io.BytesIO()
    image.save(written, "JPEG", quality=QUALITY)
    return written.getvalue()


def picture_url(frame: np.ndarray, size: tuple[int, int]) -> str:
    """The same as a data URL."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg(frame, size)).decode('ascii')}"
