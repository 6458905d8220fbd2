"""Decoded frames -> the one array that is handed on."""

from typing import Any

import numpy as np

from videorouter.video.orientation import upright
from videorouter.video.resize import resize_frames


class Pictures:
    """Fills uint8 RGB `[T, H, W, 3]` with frame `indices[i]` at i, upright, resized to `size` x `size` pixels where given."""

    def __init__(self, indices: list[int], size: int | None) -> None:
        from av.video.reformatter import VideoReformatter

        self._places: dict[int, list[int]] = {}
        for place, index in enumerate(indices):
            self._places.setdefault(index, []).append(place)
        self._size, self._count = size, len(indices)
        # One for all: a frame's own would plan the conversion anew for each, at twice the time.
        self._reformatter = VideoReformatter()
        self._array: np.ndarray | None = None

    def take(self, number: int, frame: Any) -> None:
        """Put in PyAV's frame `number`, if it is wanted. Raises `ValueError` where it has another size than those before."""
        places = self._places.pop(number, [])
        if not places:
            return
        picture = upright(self._reformatter.reformat(frame, format="rgb24").to_ndarray(), frame)
        if self._size is not None:
            picture = resize_frames(picture[None], self._size)[0]
        if self._array is None:
            self._array = np.empty((self._count, *picture.shape), dtype=np.uint8)
        if picture.shape != self._array.shape[1:]:
            raise ValueError(f"its frames have several sizes, {picture.shape} and {self._array.shape[1:]}")
        self._array[places] = picture

    def all(self) -> np.ndarray:
        """Raises `ValueError` where a wanted frame never came."""
        if self._array is None or self._places:
            raise ValueError(f"{len(self._places)} of its frames did not decode again")
        return self._array
