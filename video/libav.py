"""What both PyAV readers build on: opening a file, and the length of its last frame."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from videorouter.video.errors import EmptyVideo

STRICT = {"err_detect": "explode"}
"""Damage is an error: ffmpeg would otherwise paint over it from other frames, and show those pictures as the damaged ones."""
USUAL_LENGTH = 0.04
"""Seconds of a frame where nothing tells."""


@contextmanager
def opened(path: Path, threads: str) -> Iterator[tuple[Any, Any]]:
    """A container and its video stream, decoded with `threads` (AUTO: frames side by side). Raises `EmptyVideo`, PyAV's."""
    import av

    with av.open(str(path)) as container:
        stream: Any = container.streams.best("video")
        if stream is None:
            raise EmptyVideo(path, "it has no video stream")
        stream.thread_type = threads
        stream.codec_context.options = STRICT
        yield container, stream


def promised_frames(stream: Any) -> int | None:
    """The frames a stream's header counts, None where it does not say."""
    return stream.frames or None


def end_of(starts: Sequence[float], last: float) -> float:
    """Where the last frame ends, in seconds; `last` is its length or 0 where unknown: it is then as long as the one before."""
    return starts[-1] + (last or (starts[-1] - starts[-2] if len(starts) > 1 else USUAL_LENGTH))
