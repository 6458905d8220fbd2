"""What both PyAV decoders build on: opening a file, the last frame's length, and decoded frames as one upright array."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from videorouter.video.clock import ASSUMED_LENGTH
from videorouter.video.containers import HEAD, OPTIONS, is_plain, local_url, refuse_lists, sound_only
from videorouter.video.errors import EmptyVideo, ForbiddenContainer
from videorouter.video.frames import Sizing, resize_frames

STRICT = {"err_detect": "explode"}
"""Damage is an error: ffmpeg would otherwise paint over it from other frames, and show those pictures as the damaged ones."""
RACING = frozenset({"theora", "vp3", "vp4"})
"""Codecs, of one decoder, of which ffmpeg's concurrent frames come out wrong now and then on a busy machine (measured)."""


def frame_shape(path: Path) -> tuple[int, int]:
    """(height, width) of a file's frames, upright, from the first that decodes. Raises as `opened`."""
    with opened(path, "AUTO") as (container, stream):
        for frame in container.decode(stream):
            height, width = _upright(np.empty((frame.height, frame.width, 0), dtype=np.uint8), frame).shape[:2]
            return height, width
    raise EmptyVideo(path, "no frame of it decodes")


@contextmanager
def opened(path: Path, threads: str) -> Iterator[tuple[Any, Any]]:
    """A container and its video stream, decoded with `threads` (AUTO: frames concurrently, but for `RACING` codecs).

    Raises `ForbiddenContainer`, `EmptyVideo` and PyAV's errors.
    """
    with _opened_container(path) as container:
        stream = _moving_pictures(container)
        if stream is None:
            raise EmptyVideo(path, "it has no video stream")
        stream.thread_type = "SLICE" if stream.codec_context.name in RACING else threads
        stream.codec_context.options = STRICT
        yield container, stream


def _moving_pictures(container: Any) -> Any:
    """The video stream that ffmpeg prefers among those that are no cover of an album or film; None where there is none."""
    from av.stream import Disposition

    moving = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    best = container.streams.best("video")
    return best if best in moving else next(iter(moving), None)


def _opened_container(path: Path) -> Any:
    import av

    with path.open("rb") as file:
        head = file.read(HEAD)
    refuse_lists(path, head)
    if sound_only(head):
        raise EmptyVideo(path, "it is an audio file, with no frames beside perhaps a cover")
    try:
        return av.open(local_url(path), options=OPTIONS)
    except av.error.ArgumentError as error:  # how libavformat says that a container is not in the list
        if is_plain(head):
            raise
        raise ForbiddenContainer(
            path, "its container is none of those that are read; save it as mp4, webm, mkv, avi or mpegts"
        ) from error


def promised_frames(stream: Any) -> int | None:
    """The frames a stream's header counts, None where it does not say."""
    return stream.frames or None


def end_of(starts: Sequence[float], last: float) -> float:
    """Where the last frame ends, in seconds; `last` is its length or 0 where unknown: it is then as long as the one before."""
    return starts[-1] + (last or (starts[-1] - starts[-2] if len(starts) > 1 else ASSUMED_LENGTH))


class FrameArray:
    """Fills uint8 RGB `[T, H, W, 3]` with frame `indices[i]` at i, upright, resized to `size` where given."""

    def __init__(self, indices: list[int], size: Sizing | None) -> None:
        from av.video.reformatter import VideoReformatter

        self._places: dict[int, list[int]] = {}
        for place, index in enumerate(indices):
            self._places.setdefault(index, []).append(place)
        self._size, self._count = size, len(indices)
        self.shape = (0, 0)
        """(height, width) of the frames taken, upright, before they are resized."""
        # One for all: a frame's own would plan the conversion anew for each, at twice the time.
        self._reformatter = VideoReformatter()
        self._array: np.ndarray | None = None

    def take(self, number: int, frame: Any) -> None:
        """Put in PyAV's frame `number`, if it is wanted. Raises `ValueError` where it has another size than those before."""
        places = self._places.pop(number, [])
        if not places:
            return
        picture = _upright(self._reformatter.reformat(frame, format="rgb24").to_ndarray(), frame)
        self.shape = picture.shape[:2]
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


def _upright(picture: np.ndarray, frame: Any) -> np.ndarray:
    """A PyAV frame's `picture`, `[H, W, 3]`, as its display matrix shows it: quarter turns and mirrors, as ffmpeg does.

    Cameras store frames as the sensor lay and say in metadata how to turn them. Other angles leave a frame as it is.
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
