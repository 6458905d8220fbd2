"""Cameras store pictures as the sensor lay and say in metadata how to turn them: here they are turned."""

from typing import Any

import numpy as np


def upright(picture: np.ndarray, frame: Any) -> np.ndarray:
    """A PyAV frame's `picture`, `[H, W, 3]`, as its display matrix shows it: quarter turns and mirrors, as ffmpeg does.

    Other angles leave it as it is.
    """
    side_data = frame.side_data.get("DISPLAYMATRIX")
    if side_data is None:
        return picture
    # 3 x 3 in rows; a stored point (x, y) is shown at (a x + c y, b x + d y)
    a, b, _, c, d, *_ = np.frombuffer(bytes(side_data), dtype=np.int32, count=9).tolist()
    if not (a or d):
        picture, a, d = picture.swapaxes(0, 1), c, b
    elif b or c:
        return picture
    return np.ascontiguousarray(picture[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])
