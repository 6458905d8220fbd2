"""Frames as JPEG, without chroma subsampling: small coloured things survive."""

import io

import numpy as np
from PIL import Image


def encode(frame: np.ndarray, quality: int = 95) -> bytes:
    """uint8 RGB `[H, W, 3]` -> JPEG bytes, 4:4:4. Same input, same bytes."""
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def decode(data: bytes) -> np.ndarray:
    """JPEG bytes -> uint8 RGB `[H, W, 3]`. Raises `OSError` for bytes that are no picture."""
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB"))
