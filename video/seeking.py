"""Frames by their timestamps: jumps to the keyframe before a wanted frame, or decodes on where that is nearer."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from videorouter.video.decoder import Choose, sampled
from videorouter.video.frames import SampledFrames
from videorouter.video.libav import opened
from videorouter.video.packets import PacketIndex, packet_index
from videorouter.video.pictures import Pictures

JUMP = 12
"""Frames worth decoding to save a jump, which empties the decoder's pipeline."""

LEAPING = frozenset({"h264", "hevc", "mpeg4", "vp8", "vp9"})
"""Codecs whose decoders pass over single frames on request (tried; dav1d does so too late)."""


class Seeking:
    """Reads what decodes to the wanted frames and nothing else; asked densely, that is straight through.

    Each frame is believed by its own timestamp, and the last frame must decode too: packets alone do not prove frames.
    """

    name = "pyav"

    def read(self, path: Path, choose: Choose, size: int | None) -> SampledFrames:
        index = packet_index(path)
        indices = choose(index.starts)
        pictures = Pictures(indices, size)
        for number, frame in decoded_frames(path, index, {*indices, len(index.stamps) - 1}):
            pictures.take(number, frame)
        return sampled(self.name, pictures.all(), indices, index.starts, index.end, index.promised)


def decoded_frames(path: Path, index: PacketIndex, wanted: Iterable[int]) -> Iterator[tuple[int, Any]]:
    """The `wanted` frames with their numbers, increasing. Raises `ValueError` where one does not decode, and PyAV's errors."""
    stamps = {index.stamps[number] for number in wanted}
    with opened(path, "AUTO") as (container, stream):
        coming = _decoded(container, stream, stamps)
        at = -1
        for number in sorted(wanted):
            keyframe = index.keyframe_before(number)
            if keyframe > at + JUMP:
                container.seek(index.stamps[keyframe], stream=stream)
                coming = _from(index.stamps[keyframe], _decoded(container, stream, stamps))
            stamp = index.stamps[number]
            frame = next((frame for frame in coming if frame.pts is None or frame.pts >= stamp), None)
            if frame is None or frame.pts != stamp:
                raise ValueError(f"its frame at {index.starts[number]:.3f} s does not decode")
            at = number
            yield number, frame


def _decoded(container: Any, stream: Any, wanted: set[int]) -> Iterator[Any]:
    """Frames on the way; those that neither are wanted nor help to decode others are passed over."""
    context = stream.codec_context
    leaping = context.codec.name in LEAPING
    for packet in container.demux(stream):
        if leaping:
            context.skip_frame = "DEFAULT" if not packet.size or packet.pts in wanted else "NONREF"
        yield from packet.decode()


def _from(keyframe: int, frames: Iterator[Any]) -> Iterator[Any]:
    """Frames from a keyframe on. What decodes after a jump without it may refer to frames that were never read."""
    for frame in frames:
        if frame.pts is None or frame.pts > keyframe:
            raise ValueError("a jump to a keyframe landed elsewhere")
        if frame.pts == keyframe:
            yield frame
            yield from frames
