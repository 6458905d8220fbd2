"""Frames by their timestamps: seeks to the keyframe before a wanted frame, or decodes on where that is nearer.

When each frame is shown is learned from the file's packets, without decoding any.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from videorouter.video.clock import times_of_another_order
from videorouter.video.decoder import Choose, sampled
from videorouter.video.frames import SampledFrames, Sizing
from videorouter.video.pyav import FrameArray, end_of, opened, promised_frames

SEEK_COST = 12
"""Frames worth decoding to save a seek, which empties the decoder's pipeline."""

SKIPPING = frozenset({"h264", "hevc", "mpeg4", "vp8", "vp9"})
"""Codecs whose decoders skip single frames on request (tried; dav1d does so too late)."""


class SeekingDecoder:
    """Reads what decodes to the wanted frames and nothing else; asked densely, that is sequential decoding.

    Each frame is believed by its own timestamp, and the last frame must decode too: packets alone do not prove frames.
    """

    name = "pyav"

    def read(self, path: Path, choose: Choose, size: Sizing | None) -> SampledFrames:
        index = _packet_index(path)
        indices = choose(index.starts)
        array = FrameArray(indices, size)
        for number, frame in _decoded_frames(path, index, {*indices, len(index.stamps) - 1}):
            array.take(number, frame)
        return sampled(self.name, array.all(), indices, index.starts, index.end, index.promised, array.shape)


@dataclass(frozen=True)
class _PacketIndex:
    """A file's N frames as its packets have them, in the order they are shown.

    `stamps` in ticks of the stream, strictly increasing; `starts` in seconds from the first; `keyframes` are indices into both.
    """

    stamps: list[int]
    starts: list[float]
    end: float
    keyframes: list[int]
    promised: int | None

    def keyframe_before(self, frame: int) -> int:
        """The last keyframe that is not after `frame`."""
        return self.keyframes[bisect_right(self.keyframes, frame) - 1]


def _packet_index(path: Path) -> _PacketIndex:
    """Raises `EmptyVideo` and `ValueError` where packets do not tell: damaged ones, or without timestamps of their own."""
    lengths: dict[int, int] = {}
    stored: list[tuple[int, int | None]] = []
    keys = set()
    with opened(path, "NONE") as (container, stream):
        for packet in container.demux(stream):
            if not packet.size or packet.is_discard:  # the end; what an edit list hides
                continue
            if packet.is_corrupt or packet.pts is None or packet.pts in lengths:
                raise ValueError("a packet is damaged, has no timestamp or one that another has")
            lengths[packet.pts] = packet.duration or 0
            stored.append((packet.pts, packet.dts))
            if packet.is_keyframe:
                keys.add(packet.pts)
        if times_of_another_order(container, stream.codec_context, stored):
            raise ValueError("its packets have no times of presentation")
        tick, promised = float(stream.time_base), promised_frames(stream)
    stamps = sorted(lengths)
    keyframes = [index for index, stamp in enumerate(stamps) if stamp in keys]
    if not keyframes or keyframes[0] != 0:
        raise ValueError("it does not begin with a keyframe")
    starts = [(stamp - stamps[0]) * tick for stamp in stamps]
    return _PacketIndex(stamps, starts, end_of(starts, lengths[stamps[-1]] * tick), keyframes, promised)


def _decoded_frames(path: Path, index: _PacketIndex, wanted: Iterable[int]) -> Iterator[tuple[int, Any]]:
    """The `wanted` frames with their numbers, increasing. Raises `ValueError` where one does not decode, and PyAV's errors."""
    stamps = {index.stamps[number] for number in wanted}
    with opened(path, "AUTO") as (container, stream):
        coming = _decoded(container, stream, stamps)
        at = -1
        for number in sorted(wanted):
            keyframe = index.keyframe_before(number)
            if keyframe > at + SEEK_COST:
                container.seek(index.stamps[keyframe], stream=stream)
                coming = _from(index.stamps[keyframe], _decoded(container, stream, stamps))
            stamp = index.stamps[number]
            frame = next((frame for frame in coming if frame.pts is None or frame.pts >= stamp), None)
            if frame is None or frame.pts != stamp:
                raise ValueError(f"its frame at {index.starts[number]:.3f} s does not decode")
            at = number
            yield number, frame


def _decoded(container: Any, stream: Any, wanted: set[int]) -> Iterator[Any]:
    """Frames on the way; those that neither are wanted nor help to decode others are skipped."""
    context = stream.codec_context
    skipping = context.codec.name in SKIPPING
    for packet in container.demux(stream):
        if skipping:
            context.skip_frame = "DEFAULT" if not packet.size or packet.pts in wanted else "NONREF"
        yield from packet.decode()


def _from(keyframe: int, frames: Iterator[Any]) -> Iterator[Any]:
    """Frames from a keyframe on. What decodes after a seek without it may refer to frames that were never read."""
    for frame in frames:
        if frame.pts is None or frame.pts > keyframe:
            raise ValueError("seeking to a keyframe landed elsewhere")
        if frame.pts == keyframe:
            yield frame
            yield from frames
