"""Videos that were decoded and encoded, kept for the next question about them in bounded memory (ours).

Keys name content, not places, and the client's API key: nobody learns from the seconds of an answer what others asked about.
"""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.answering.watched_video import WatchedVideo
from videorouter.serve.metrics import Metrics
from videorouter.video.frames import SampledFrames


@dataclass(frozen=True)
class VideoKey:
    """So many `frames` of the video whose content hashes to `sha256`, asked about by `owner`."""

    owner: str
    sha256: str
    frames: int


@dataclass
class _Entry:
    sampled: SampledFrames
    watched: WatchedVideo | None = None

    @property
    def nbytes(self) -> int:
        return self.sampled.frames.nbytes if self.watched is None else self.watched.nbytes


class VideoLibrary:
    """Decoded frames, visual tokens and router states of the videos last asked about, at most `most_bytes` of them."""

    def __init__(self, router: VideoRouter, most_bytes: int, metrics: Metrics) -> None:
        self._router, self._most, self._metrics = router, most_bytes, metrics
        self._entries: OrderedDict[VideoKey, _Entry] = OrderedDict()
        self._lock = threading.Lock()
        self._decoding: dict[VideoKey, asyncio.Task[SampledFrames]] = {}

    def find(self, key: VideoKey) -> SampledFrames | None:
        """The decoded frames, where they are kept."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                self._entries.move_to_end(key)
            return None if entry is None else entry.sampled

    async def sampled(
        self, key: VideoKey, decode: Callable[[], Awaitable[SampledFrames]]
    ) -> tuple[SampledFrames, bool]:
        """The decoded frames, and whether they were kept from before. Who asks while another decodes waits for the same."""
        kept = self.find(key)
        self._metrics.cached.labels("frames", str(kept is not None).lower()).inc()
        if kept is not None:
            return kept, True
        running = self._decoding.get(key)
        while running is not None:
            try:
                return await asyncio.shield(running), True
            except asyncio.CancelledError:
                if not running.cancelled():  # we were, not the one that decodes
                    raise
            running = self._decoding.get(key)
        task: asyncio.Task[SampledFrames] = asyncio.ensure_future(decode())
        self._decoding[key] = task
        try:
            sampled = await task
        finally:
            task.cancel()
            self._decoding.pop(key, None)
        self._metrics.decoded.inc()
        self._keep(key, _Entry(sampled))
        return sampled, False

    def watched(self, key: VideoKey, sampled: SampledFrames, on_demand: bool) -> tuple[WatchedVideo, bool]:
        """The video with its tokens on the model's device, and whether they were kept from before. On the model's thread alone.

        `on_demand` leaves encoding to who asks for frames, where the tokens of all are not there already.
        """
        with self._lock:
            entry = self._entries.get(key)
            kept = None if entry is None else entry.watched
        self._metrics.cached.labels("tokens", str(kept is not None).lower()).inc()
        if kept is not None:
            return _at(kept, self._router.backbone.device), True
        watched = self._router.watch(sampled, on_demand=on_demand)
        if on_demand:
            return watched, False
        self._metrics.encoded.inc(len(sampled.frames))
        watched = watched.remembering(self._most)
        self._keep(key, _Entry(watched.sampled, _at(watched, torch.device("cpu"))))
        return watched, False

    def measure(self, key: VideoKey) -> None:
        """Count what was remembered beside a video's tokens since; the oldest videos leave where that is too much."""
        with self._lock:
            self._shrink()

    @property
    def nbytes(self) -> int:
        """Of all that is kept."""
        with self._lock:
            return self._held()

    def _keep(self, key: VideoKey, entry: _Entry) -> None:
        with self._lock:
            self._entries[key] = entry
            self._entries.move_to_end(key)
            self._shrink()

    def _shrink(self) -> None:
        while self._entries and self._held() > self._most:
            self._entries.popitem(last=False)
        self._metrics.cache_bytes.set(self._held())

    def _held(self) -> int:
        return sum(entry.nbytes for entry in self._entries.values())


def _at(watched: WatchedVideo, device: torch.device) -> WatchedVideo:
    """The same with its tokens on `device`; what is kept lies in main memory."""
    tokens = watched.tokens
    return replace(watched, tokens=tokens.to(device)) if isinstance(tokens, Tensor) else watched
