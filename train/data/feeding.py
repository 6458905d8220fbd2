"""Frames as the backbone takes them, made ready by the loader's workers: decoded, resized, in memory that they share (ours).

A worker that sent JPEGs would leave all decoding to the process that trains; one that sent arrays would have them copied twice.
Here frames are written once, where the training process reads them. Without workers, and where no slot of the ring is free for a
video, they are decoded when they are asked for, to the same pixels.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import psutil

from videorouter.shards.epoch_order import Item
from videorouter.shards.frame_ring import FrameRing, SharedFrames
from videorouter.shards.sample import ShardSample

_log = logging.getLogger(__name__)

Fed = TypeVar("Fed", bound="FedVideo")


@dataclass(frozen=True)
class FedVideo:
    """One video of a microbatch, of whichever stage. `sample` holds its JPEGs until they are decoded."""

    key: str
    sample: ShardSample
    size: tuple[int, int] | None = field(default=None, kw_only=True)
    """(height, width) to which its frames are resized; as they are stored where None."""
    shared: SharedFrames | None = field(default=None, kw_only=True, compare=False)

    def frames(self) -> np.ndarray:
        """uint8 `[T, H, W, 3]`. Raises `BadPicture`."""
        return self.sample.frames(self.size) if self.shared is None else self.shared.array

    @property
    def stored(self) -> tuple[int, int, int]:
        """Frames, height and width as they are stored."""
        record = self.sample.video
        return len(record.indices), record.height, record.width


@dataclass(frozen=True)
class Feeding:
    """What a module takes of a video: frames of `size(frames, height, width)`; none at all where it does not want a video's."""

    size: Callable[[int, int, int], tuple[int, int]]
    wanted: Callable[[Any], bool] = lambda video: True

    def bytes_of(self, frames: int, height: int, width: int) -> int:
        """Of a video's frames, as they are fed."""
        return frames * int(np.prod(self.size(frames, height, width))) * 3

    def feed(self, read: Callable[[Item], Fed], ring: FrameRing | None, item: Item) -> Fed:
        """An item, with its frames in the ring. Raises `ShardError`, also where a picture does not decode."""
        video = read(item)
        if not self.wanted(video):
            return replace(video, sample=replace(video.sample, jpegs=[]))
        size = self.size(*video.stored)
        shared = (
            None
            if ring is None
            else ring.put((len(video.sample.jpegs), *size, 3), lambda array: _fill(video.sample, size, array))
        )
        if shared is None:
            return replace(video, size=size)
        return replace(video, sample=replace(video.sample, jpegs=[]), size=size, shared=shared)


def as_stored(frames: int, height: int, width: int) -> tuple[int, int]:
    """The `size` of who sees a video's frames in several sizes: frames are then resized where they are encoded."""
    return height, width


@dataclass(frozen=True)
class RingSize:
    """Slots of a ring that holds what `workers` may have ready, and bytes of a slot: the largest video's frames."""

    slots: int
    slot_bytes: int

    @classmethod
    def of(cls, workers: int, prefetch: int, videos_a_batch: int, slot_bytes: int) -> "RingSize":
        """Batches on their way, the one that is trained on, and the one after it."""
        return cls((workers * prefetch + 2) * videos_a_batch, slot_bytes)

    @property
    def bytes(self) -> int:
        """In all."""
        return self.slots * self.slot_bytes

    def check(self, loaders: int) -> None:
        """Raise `ValueError` where so many rings are more than this machine's memory. Says how much they are."""
        needed, there = loaders * self.bytes, available_memory()
        told = f"{self.slots} videos of {self.slot_bytes / 1e6:.1f} MB decoded wait in shared memory, {needed / 1e9:.2f} GB"
        _log.info("%s in all of %.1f GB there", told, there / 1e9)
        if needed > there:
            raise ValueError(
                f"{told}, more than the {there / 1e9:.1f} GB there: fewer data.init_args.workers, smaller batches, or a smaller "
                "frame size"
            )


def available_memory() -> int:
    """Bytes that this machine, or the container that this process is in, has left."""
    there = int(psutil.virtual_memory().available)
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.is_file() and used.is_file() and (most := limit.read_text().strip()).isdigit():
        there = min(there, int(most) - int(used.read_text()))
    return there


def _fill(sample: ShardSample, size: tuple[int, int], array: np.ndarray) -> None:
    sample.frames(size, array)
