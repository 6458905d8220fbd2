"""Frames counted as they decode, from the first to the last: slower, and believes nothing else."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from videorouter.video.decoder import Choose, sampled
from videorouter.video.errors import EmptyVideo
from videorouter.video.frames import SampledFrames, Sizing
from videorouter.video.pyav import ASSUMED_LENGTH, FrameArray, end_of, opened, promised_frames


class SequentialDecoder:
    """Decodes twice, to count and to keep the frames chosen; `total` is then what decodes, whatever the header says."""

    name = "pyav_straight"

    def read(self, path: Path, choose: Choose, size: Sizing | None) -> SampledFrames:
        starts, end, promised = _timestamps(path)
        indices = choose(starts)
        last, array = max(indices), FrameArray(indices, size)
        with opened(path, "SLICE") as (container, stream):
            for number, frame in enumerate(_decoding(container, stream)):
                array.take(number, frame)
                if number == last:
                    break
        return sampled(self.name, array.all(), indices, starts, end, promised, array.shape)


def _timestamps(path: Path) -> tuple[list[float], float, int | None]:
    """Where frames start and the last ends, in seconds from the first, and what the header counts. Raises `EmptyVideo`."""
    starts: list[float] = []
    length = 0.0
    with opened(path, "SLICE") as (container, stream):
        promised = promised_frames(stream)
        for frame in _decoding(container, stream):
            after = starts[-1] + (length or ASSUMED_LENGTH) if starts else 0.0
            told = frame.time is not None and (not starts or frame.time > starts[-1] + 1e-6)
            starts.append(frame.time if told else after)
            length = float(frame.duration * frame.time_base) if frame.duration and frame.time_base else 0.0
    if not starts:
        raise EmptyVideo(path, "no frame of it decodes")
    starts = [start - starts[0] for start in starts]  # some containers start their clock elsewhere
    return starts, end_of(starts, length), promised


def _decoding(container: Any, stream: Any) -> Iterator[Any]:
    """All frames that decode. After a packet that does not, none is right before the next keyframe."""
    from av.error import InvalidDataError

    decoded, damaged = 0, None
    try:
        for packet in container.demux(stream):
            if packet.size and damaged and not packet.is_keyframe:
                continue
            try:
                frames = packet.decode()
            except InvalidDataError as error:
                damaged = error
                stream.codec_context.flush_buffers()  # what waits in there for its order leans on what is damaged
                continue
            if packet.size:
                damaged = None
            decoded += len(frames)
            yield from frames
    except InvalidDataError:  # the container itself is damaged from here on
        if not decoded:
            raise
    if damaged and not decoded:
        raise damaged
