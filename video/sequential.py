"""Frames counted as they decode, from the first to the last: slower, and believes nothing else."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from videorouter.video.clock import Clock
from videorouter.video.decoder import Choose, sampled
from videorouter.video.errors import EmptyVideo
from videorouter.video.frames import SampledFrames, Sizing
from videorouter.video.pyav import FrameArray, end_of, opened, promised_frames


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
    """Where frames start and the last ends, in seconds, and what the header counts. Raises `EmptyVideo`."""
    with opened(path, "SLICE") as (container, stream):
        promised, clock = promised_frames(stream), Clock(float(stream.time_base))
        for frame in _decoding(container, stream, clock.read):
            clock.show(frame)
    starts = clock.starts()
    if not starts:
        raise EmptyVideo(path, "no frame of it decodes")
    return starts, end_of(starts, clock.last_length()), promised


def _decoding(container: Any, stream: Any, read: Callable[[Any], None] = lambda packet: None) -> Iterator[Any]:
    """All frames that decode; `read` is told of every packet. After one that does not, none is right before the next keyframe."""
    from av.error import InvalidDataError

    decoded, damaged = 0, None
    try:
        for packet in container.demux(stream):
            read(packet)
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
