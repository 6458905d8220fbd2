"""A file -> sampled frames: by timestamps first, sequentially as second opinion, decord last."""

import importlib.util
from bisect import bisect_right
from collections.abc import Callable, Sequence
from pathlib import Path

from videorouter.video.containers import local_url
from videorouter.video.decoder import Choose, Decoder, DecordDecoder
from videorouter.video.errors import CorruptVideo, EmptyVideo, MissingVideo, UnusableShape, VideoError, VideoOutOfMemory
from videorouter.video.frames import SampledFrames, Size, Sizing
from videorouter.video.sampling import SAMPLERS
from videorouter.video.seeking import SeekingDecoder
from videorouter.video.sequential import SequentialDecoder


def sample_frames(
    path: str | Path, count: int, sampler: str = "segment_midpoint", size: Sizing | None = None
) -> SampledFrames:
    """`count` frames of a video file, resized to `size` (`Sizing`) where given (ours; samplers in `video/sampling.py`).

    Raises `MissingVideo`, `EmptyVideo`, `CorruptVideo`, `ForbiddenContainer` or `VideoOutOfMemory` naming the file,
    `ValueError` for an unknown sampler, or fewer than one frame or pixel.
    """
    if sampler not in SAMPLERS:
        raise ValueError(f"unknown sampler {sampler!r}: there are {', '.join(SAMPLERS)}")
    _check_asked(count, size)
    return _read(Path(path), lambda starts: SAMPLERS[sampler](len(starts), count), size, sampler)


def frames_at(path: str | Path, seconds: Sequence[float], size: Sizing | None = None) -> SampledFrames:
    """The frames on screen at given seconds; moments after the end give the last frame. Raises as `sample_frames`."""
    _check_asked(len(seconds), size)
    return _read(
        Path(path), lambda starts: [max(0, bisect_right(starts, s + 1e-6) - 1) for s in seconds], size, "at_seconds"
    )


def decoders() -> list[Decoder]:
    """The decoders installed here, in the order they are asked."""
    return [SeekingDecoder(), SequentialDecoder(), *([DecordDecoder()] if importlib.util.find_spec("decord") else [])]


def _read(path: Path, choose: Choose, size: Sizing | None, sampler: str) -> SampledFrames:
    _check_readable(path)
    sized = _of_this_file(path, size) if callable(size) else size
    failures = []
    for decoder in decoders():
        try:
            sampled = decoder.read(path, choose, sized)
        except VideoError:
            raise
        except MemoryError as error:
            raise VideoOutOfMemory(path, f"{decoder.name} ran out of memory") from error
        except Exception as error:  # native decoders raise whatever their bindings do
            failures.append(f"{decoder.name}: {_said_of(path, error)}")
        else:
            return SampledFrames(**(vars(sampled) | {"sampler": sampler}))
    raise CorruptVideo(path, f"no decoder could read it ({'; '.join(failures)[:300]})")


def _said_of(path: Path, error: Exception) -> str:
    """The first line of a decoder's error, without the name of the file, which its error has already."""
    said = next((line for line in str(error).strip().splitlines()), repr(error))
    for name in (local_url(path), str(path)):
        said = said.replace(name, "the file")
    return said


def _of_this_file(path: Path, size: Callable[[int, int], Size]) -> Callable[[int, int], Size]:
    """`size`, whose refusal of a shape is about the file and no decoder's fault."""

    def sized(height: int, width: int) -> Size:
        try:
            return size(height, width)
        except ValueError as error:
            raise UnusableShape(path, str(error)) from error

    return sized


def _check_asked(count: int, size: Sizing | None) -> None:
    if count < 1 or (isinstance(size, int) and size < 1):
        raise ValueError(f"cannot take {count} frames of {size} pixels a side: both must be at least 1")


def _check_readable(path: Path) -> None:
    try:
        if not path.is_file():
            raise MissingVideo(path, "no such file")
        with path.open("rb") as file:
            if not file.read(1):
                raise EmptyVideo(path, "the file has zero bytes")
    except OSError as error:  # permissions, too long a name, a share that is away: says nothing about its content
        raise MissingVideo(path, f"it cannot be opened: {error.strerror}") from error
