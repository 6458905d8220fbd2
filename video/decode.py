"""A file -> sampled frames: decord first, PyAV as second opinion. Frames that decode are believed, headers are not."""

import importlib.util
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from video.errors import CorruptVideo, EmptyVideo, MissingVideo, VideoError
from video.frames import SampledFrames
from video.resize import resize_frames
from video.sampling import SAMPLERS

Choose = Callable[[Sequence[float]], list[int]]
"""From the start of every frame, in seconds from the first, to the indices of the frames wanted."""


class Decoder(Protocol):
    """Reads chosen frames of a file."""

    name: str

    def read(self, path: Path, choose: Choose, size: int | None) -> SampledFrames:
        """Raises any exception where the file cannot be read, or frames its header promises do not decode."""
        ...


def sample_video(
    path: str | Path, count: int, sampler: str = "segment_midpoint", size: int | None = None
) -> SampledFrames:
    """`count` frames of a video file, resized to `size` x `size` pixels where given (ours; samplers in `video.sampling`).

    Raises `MissingVideo`, `EmptyVideo` or `CorruptVideo` naming the file, `ValueError` for an unknown sampler.
    """
    if sampler not in SAMPLERS:
        raise ValueError(f"unknown sampler {sampler!r}: there are {', '.join(SAMPLERS)}")
    return _read(Path(path), lambda starts: SAMPLERS[sampler](len(starts), count), size, sampler)


def frames_at(path: str | Path, seconds: Sequence[float], size: int | None = None) -> SampledFrames:
    """The frames on screen at given seconds; moments after the end give the last frame. Raises as `sample_video`."""
    return _read(
        Path(path), lambda starts: [max(0, bisect_right(starts, s + 1e-6) - 1) for s in seconds], size, "at_seconds"
    )


def _read(path: Path, choose: Choose, size: int | None, sampler: str) -> SampledFrames:
    if not path.is_file():
        raise MissingVideo(path, "no such file")
    if path.stat().st_size == 0:
        raise EmptyVideo(path, "the file has zero bytes")
    failures = []
    for decoder in decoders():
        try:
            sampled = decoder.read(path, choose, size)
        except VideoError:
            raise
        except Exception as error:  # native decoders raise whatever their bindings do
            failures.append(f"{decoder.name}: {str(error).strip().splitlines()[0] if str(error).strip() else error!r}")
        else:
            return SampledFrames(**(vars(sampled) | {"sampler": sampler}))
    raise CorruptVideo(path, f"no decoder could read it ({'; '.join(failures)[:300]})")


def decoders() -> list[Decoder]:
    """The decoders installed here, preferred first."""
    return [Decord(), PyAV()] if importlib.util.find_spec("decord") else [PyAV()]


class Decord:
    """Fast random access; applies rotation metadata itself."""

    name = "decord"

    def read(self, path: Path, choose: Choose, size: int | None) -> SampledFrames:
        import decord

        decord.logging.set_level(decord.logging.FATAL)
        reader = decord.VideoReader(str(path), num_threads=1)
        if not len(reader):
            raise ValueError("it counts no frames")
        stamps = reader.get_frame_timestamp(range(len(reader)))
        starts, end = stamps[:, 0] - stamps[0, 0], float(stamps[-1, 1] - stamps[0, 0])
        if not np.all(np.diff(starts) > 0):
            raise ValueError("its timestamps do not increase: the header may count frames that do not decode")
        indices = choose(starts.tolist())
        frames = reader.get_batch(indices).asnumpy()
        return _sampled(self.name, frames, indices, starts.tolist(), end, size)


class PyAV:
    """Decodes straight through, so that the frame count is what really decodes; keeps only one resized copy of each."""

    name = "pyav"

    def read(self, path: Path, choose: Choose, size: int | None) -> SampledFrames:
        starts, end = self._timestamps(path)
        if not starts:
            raise EmptyVideo(path, "no frame of it decodes")
        indices = choose(starts)
        wanted = set(indices)
        kept: dict[int, np.ndarray] = {}
        for index, frame in enumerate(self._frames(path)):
            if index in wanted:
                picture = np.rot90(frame.to_ndarray(format="rgb24"), k=frame.rotation // 90)
                kept[index] = picture if size is None else resize_frames(picture[None], size)[0]
        return _sampled(self.name, np.stack([kept[index] for index in indices]), indices, starts, end, size)

    def _timestamps(self, path: Path) -> tuple[list[float], float]:
        starts: list[float] = []
        length = 0.0
        for frame in self._frames(path):
            starts.append(frame.time if frame.time is not None else starts[-1] + length if starts else 0.0)
            length = float(frame.duration * frame.time_base) if frame.duration and frame.time_base else length or 0.04
        if not starts:
            return [], 0.0
        # Some containers start their clock elsewhere: seconds count from the first frame.
        return [start - starts[0] for start in starts], starts[-1] + length - starts[0]

    def _frames(self, path: Path) -> Iterator[Any]:
        """Frames until the end or the first that does not decode."""
        import av

        with av.open(str(path)) as container:
            stream: Any = container.streams.best("video")
            if stream is None:
                raise EmptyVideo(path, "it has no video stream")
            stream.thread_type = "AUTO"
            decoded = 0
            try:
                for frame in container.decode(stream):
                    decoded += 1
                    yield frame
            except av.error.FFmpegError:
                if not decoded:
                    raise


def _sampled(
    decoder: str, frames: np.ndarray, indices: list[int], starts: list[float], end: float, size: int | None
) -> SampledFrames:
    return SampledFrames(
        frames=frames if size is None else resize_frames(frames, size),
        indices=indices,
        seconds=[round(starts[index], 6) for index in indices],
        fps=len(starts) / end if end > 0 else 0.0,
        total=len(starts),
        duration=end,
        decoder=decoder,
        sampler="",
    )
