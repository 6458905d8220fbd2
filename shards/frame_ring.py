"""Decoded frames that go from loader processes to the one that trains without being copied (ours).

Slots of one size in memory that processes share. A worker decodes a video into a free slot and sends the slot's number; the slot is
free again when nothing in the training process looks at its frames any more. The memory is anonymous, inherited by fork: no name
in /dev/shm, which containers keep small, and nothing that a kill could leave behind. Nobody ever waits for a slot: where none is
free, or a video is larger than a slot, `put` says so, and the pictures travel as they are.
"""

import itertools
import math
import mmap
import multiprocessing
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Shape = tuple[int, int, int, int]
"""(T, height, width, 3)."""


class FrameRing:
    """`slots` of `slot_bytes` bytes each; pages are taken as they are first written."""

    def __init__(self, slots: int, slot_bytes: int) -> None:
        self.slots, self.slot_bytes = slots, slot_bytes
        self._memory = memoryview(mmap.mmap(-1, max(1, slots * slot_bytes)))
        self._taken = memoryview(mmap.mmap(-1, max(1, slots)))
        self._lock = multiprocessing.get_context("fork").Lock()
        self._number = next(_NUMBERS)
        _RINGS[self._number] = self

    def put(self, shape: Shape, fill: Callable[[np.ndarray], None]) -> "SharedFrames | None":
        """Have `fill` write frames of `shape` into a free slot; None where there is no such slot. Raises as `fill`."""
        if math.prod(shape) > self.slot_bytes or (slot := self._claim()) is None:
            return None
        try:
            fill(self.view(slot, shape))
        except BaseException:
            self.give_back(slot)
            raise
        return SharedFrames(self._number, slot, shape)

    def view(self, slot: int, shape: Shape) -> np.ndarray:
        """The frames in a slot, uint8 of `shape`."""
        start = slot * self.slot_bytes
        return np.ndarray(shape, np.uint8, self._memory[start : start + math.prod(shape)])

    def give_back(self, slot: int) -> None:
        """Make a slot free."""
        self._taken[slot] = 0

    @property
    def taken(self) -> int:
        """Slots in use."""
        return sum(self._taken[: self.slots])

    def _claim(self) -> int | None:
        with self._lock:
            slot = next((slot for slot in range(self.slots) if not self._taken[slot]), None)
            if slot is not None:
                self._taken[slot] = 1
            return slot


_NUMBERS = itertools.count()
_RINGS: "weakref.WeakValueDictionary[int, FrameRing]" = weakref.WeakValueDictionary()
"""Of this process, and of those that it forked after they were made."""


@dataclass
class SharedFrames:
    """Frames in a slot, as they are sent: `array` is there in the process that received them."""

    ring: int
    slot: int
    shape: Shape

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        ring = _RINGS[self.ring]
        self.array = ring.view(self.slot, self.shape)
        weakref.finalize(self.array, ring.give_back, self.slot).atexit = False
