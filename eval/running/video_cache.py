"""Videos of a run: each decoded while the model is busy with the one before, encoded once, some kept in memory."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.answering.watched_video import WatchedVideo
from videorouter.video.frames import SampledFrames


class VideoCache:
    """Decodes and encodes videos with the frame count and sampler of `router`.

    It keeps the last video, and in host memory the first `capacity` ones, frames and tokens.
    """

    def __init__(self, router: VideoRouter, capacity: int = 0) -> None:
        self._router = router
        self._capacity = capacity
        self._kept: dict[Path, WatchedVideo] = {}
        self._last: tuple[Path, WatchedVideo] | None = None
        self._ahead: dict[Path, Future[tuple[SampledFrames, float]]] = {}
        self._thread = ThreadPoolExecutor(1, "decode ahead")

    def prefetch(self, video: Path) -> None:
        """Decode a file on a thread, for a later `watch`, which raises what is wrong with it."""
        if self._cached(video) is None and video not in self._ahead:
            self._ahead[video] = self._thread.submit(self._decoded, video)

    def watch(self, video: Path) -> WatchedVideo:
        """The file decoded and encoded; `decode_seconds` count all of the decoding, also on the thread. Raises `VideoError`."""
        watched = self._cached(video)
        if watched is None:
            self._last = None  # frees its memory before the next is encoded
            sampled, seconds = self._ahead.pop(video).result() if video in self._ahead else self._decoded(video)
            watched = replace(self._router.watch(sampled), decode_seconds=seconds)
            if len(self._kept) < self._capacity:
                self._kept[video] = watched
        self._last = video, watched
        return watched

    def _cached(self, video: Path) -> WatchedVideo | None:
        if self._last is not None and self._last[0] == video:
            return self._last[1]
        return self._kept.get(video)

    def _decoded(self, video: Path) -> tuple[SampledFrames, float]:
        started = time.perf_counter()
        return self._router.sample(video), time.perf_counter() - started
