"""Videos of a run: each decoded while the model is busy with the one before, encoded once, some remembered."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from videorouter.routers.runtime import VideoRouter
from videorouter.routers.watched_video import WatchedVideo
from videorouter.video.frames import SampledFrames


class Watching:
    """Watches videos as `router` was exported to: frames, sampler.

    The last video stays at hand, and the first `remembered` ones, frames and tokens, in host memory.
    """

    def __init__(self, router: VideoRouter, remembered: int = 0) -> None:
        self._router = router
        self._room = remembered
        self._remembered: dict[Path, WatchedVideo] = {}
        self._last: tuple[Path, WatchedVideo] | None = None
        self._ahead: dict[Path, Future[tuple[SampledFrames, float]]] = {}
        self._thread = ThreadPoolExecutor(1, "decode ahead")

    def begin(self, video: Path) -> None:
        """Decode a file on a thread, for a `watch` to come. What is wrong with it is raised then."""
        if self._at_hand(video) is None and video not in self._ahead:
            self._ahead[video] = self._thread.submit(self._decoded, video)

    def watch(self, video: Path) -> WatchedVideo:
        """The file decoded and encoded; its decode seconds are those of decoding, waited for or not. Raises `VideoError`."""
        watched = self._at_hand(video)
        if watched is None:
            self._last = None  # one video at a time
            sampled, seconds = self._ahead.pop(video).result() if video in self._ahead else self._decoded(video)
            watched = replace(self._router.watch(sampled), decode_seconds=seconds)
            if len(self._remembered) < self._room:
                self._remembered[video] = watched
        self._last = video, watched
        return watched

    def _at_hand(self, video: Path) -> WatchedVideo | None:
        if self._last is not None and self._last[0] == video:
            return self._last[1]
        return self._remembered.get(video)

    def _decoded(self, video: Path) -> tuple[SampledFrames, float]:
        started = time.perf_counter()
        return self._router.sample(video), time.perf_counter() - started
