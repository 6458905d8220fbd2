"""When decoded frames are shown: by the file's presentation times or, where these are none, by the order in which frames come.

AVI and streams copied out of it have times of packets alone, in the order of decoding: where frames are stored in another order
than they are shown, what ffmpeg takes for a frame's time is that of another frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

ASSUMED_LENGTH = 0.04
"""Seconds a frame is assumed to last where the file does not say."""
ALWAYS_REORDERING = frozenset({"mpeg1video", "mpeg2video"})
"""Their decoders say that they change the order, also of streams in which nothing is to be changed."""


def times_of_another_order(container: Any, codec: Any, stamps: Sequence[tuple[int, int | None]]) -> bool:
    """Whether packets have no times of presentation although the `codec` context shows frames in another order than they lie in.

    `stamps` are (presentation, decoding) times of the `container`'s packets as ffmpeg gives them, in file order. What it gives
    of AVI only increases then; elsewhere both are the same.
    """
    if not codec.has_b_frames or codec.codec.name in ALWAYS_REORDERING:
        return False
    made_up = container.format.name == "avi" or all(shown == decoded for shown, decoded in stamps)
    return made_up and len(stamps) > 1 and all(one[0] < other[0] for one, other in pairwise(stamps))


@dataclass(frozen=True)
class _Shown:
    """A frame as it came out of the decoder, in ticks of the stream; `read` counts the packets with a time before it came."""

    stamp: int | None
    length: int
    keyframe: bool
    read: int


class Clock:
    """Is told of every packet as it is read and of every frame as it comes; `tick` is the stream's in seconds."""

    def __init__(self, tick: float) -> None:
        self._tick = tick
        self._assumed = max(1, round(ASSUMED_LENGTH / tick))
        self._packets: list[int] = []
        self._decoded_at: list[int] = []
        self._frames: list[_Shown] = []

    def read(self, packet: Any) -> None:
        """A packet that is given to the decoder; what an edit list hides counts for nothing."""
        if packet.size and not packet.is_discard and packet.pts is not None:
            self._packets.append(packet.pts)
            self._decoded_at.append(packet.pts if packet.dts is None else packet.dts)

    def show(self, frame: Any) -> None:
        """A frame that came out of it."""
        self._frames.append(_Shown(frame.pts, frame.duration or 0, bool(frame.key_frame), len(self._packets)))

    def starts(self) -> list[float]:
        """Seconds at which each frame is shown, from the first of the file, also where that one does not decode."""
        if not self._frames:
            return []
        stamps = [frame.stamp for frame in self._frames if frame.stamp is not None]
        stored_in_order = all(one < other for one, other in pairwise(self._packets))
        shown_in_order = all(one < other for one, other in pairwise(stamps))
        origin, ticks = self._by_place() if stored_in_order and not shown_in_order else self._by_stamp()
        return [(at - origin) * self._tick for at in ticks]

    def last_length(self) -> float:
        """Seconds the last frame is shown; 0 where the file does not say."""
        return self._frames[-1].length * self._tick if self._frames else 0.0

    def _by_stamp(self) -> tuple[int, list[int]]:
        """Where the clock begins and each frame's own time; one without, or with that of an earlier frame, follows the last."""
        ticks: list[int] = []
        for number, frame in enumerate(self._frames):
            before = self._frames[number - 1]
            after = ticks[-1] + (before.length or self._assumed) if ticks else 0
            told = frame.stamp is not None and (not ticks or frame.stamp > ticks[-1])
            ticks.append(frame.stamp if told and frame.stamp is not None else after)
        first = self._frames[0].stamp
        if first is None or first not in self._packets:
            return ticks[0], ticks
        # What is stored before the first frame that decodes was shown before it. What follows that frame was not, though its
        # time may be earlier: pictures that lean on what was cut off.
        return min(self._packets[: self._packets.index(first) + 1]), ticks

    def _by_place(self) -> tuple[int, list[int]]:
        """The same by frames' places: frame k is shown when packet k + delay is decoded, the delay being the decoder's.

        After damage the count goes on at the place of a keyframe's packet, as all before that is shown before it.
        """
        places = {stamp: place for place, stamp in enumerate(self._packets)}
        ticks: list[int] = []
        place, delay = -1, 0
        for frame in self._frames:
            own = places.get(frame.stamp, 0) if frame.keyframe and frame.stamp is not None else 0
            place = max(place + 1, own)
            if not ticks:
                delay = max(0, frame.read - 1 - place)
            ticks.append(self._decoding_time(place + delay))
        return self._decoding_time(delay), ticks

    def _decoding_time(self, place: int) -> int:
        """Of the packet at `place`, in ticks, going on in the last step where there are not so many."""
        times, last = self._decoded_at, len(self._decoded_at) - 1
        step = times[last] - times[last - 1] if last else self._assumed
        return times[min(place, last)] + max(0, place - last) * step
