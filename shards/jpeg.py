"""Frames as JPEG, without chroma subsampling: small coloured things survive."""

import io

import numpy as np
from PIL import Image


def encode(frame: np.ndarray, quality: int = 95) -> bytes:
    """uint8 RGB `[H, W, 3]` -> JPEG bytes, 4:4:4. Same input, same bytes."""
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def decode(data: bytes, height: int, width: int, size: tuple[int, int] | None = None) -> np.ndarray:
    """JPEG bytes of a picture known to be `height` x `width` -> uint8 RGB `[H, W, 3]`, or of `size`, (height, width).

    It is resized as `videorouter.video.frames.resize_frames` does. Raises `ValueError` for bytes that are no such picture, before
    any memory is taken for one of another size.
    """
    try:
        with _opened(data, height, width) as picture:
            whole = picture if picture.mode == "RGB" else picture.convert("RGB")
            if size is not None and size != (height, width):
                whole = whole.resize((size[1], size[0]), Image.Resampling.BICUBIC)
            return np.asarray(whole)
    except (OSError, SyntaxError) as error:
        raise ValueError(f"the picture does not decode ({error})") from error


def check(data: bytes, height: int, width: int) -> None:
    """Look at the header alone. Raises `ValueError` as `decode` does."""
    _opened(data, height, width).close()


def _opened(data: bytes, height: int, width: int) -> Image.Image:
    try:
        picture = Image.open(io.BytesIO(data), formats=("JPEG",))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"no JPEG picture ({error})") from error
    if picture.size != (width, height):
        raise ValueError(f"the picture is {picture.width} x {picture.height}, its record says {width} x {height}")
    return picture
