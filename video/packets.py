"""When every frame of a file is shown, learnt from its packets without decoding any."""

from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path

from videorouter.video.libav import end_of, opened, promised_frames


@dataclass(frozen=True)
class PacketIndex:
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


def packet_index(path: Path) -> PacketIndex:
    """Raises `EmptyVideo` and `ValueError` where packets do not tell: damaged ones, or without timestamps of their own."""
    lengths: dict[int, int] = {}
    keys = set()
    with opened(path, "NONE") as (container, stream):
        for packet in container.demux(stream):
            if not packet.size or packet.is_discard:  # the end; what an edit list hides
                continue
            if packet.is_corrupt or packet.pts is None or packet.pts in lengths:
                raise ValueError("a packet is damaged, has no timestamp or one that another has")
            lengths[packet.pts] = packet.duration or 0
            if packet.is_keyframe:
                keys.add(packet.pts)
        tick, promised = float(stream.time_base), promised_frames(stream)
    stamps = sorted(lengths)
    keyframes = [index for index, stamp in enumerate(stamps) if stamp in keys]
    if not keyframes or keyframes[0] != 0:
        raise ValueError("it does not begin with a keyframe")
    starts = [(stamp - stamps[0]) * tick for stamp in stamps]
    return PacketIndex(stamps, starts, end_of(starts, lengths[stamps[-1]] * tick), keyframes, promised)
