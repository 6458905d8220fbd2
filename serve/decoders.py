"""The processes that decode clients' videos, waited for without holding up anything else (ours)."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import LifoQueue
from threading import Lock
from typing import Any, Final, TypeVar

from videorouter.video.worker import DecodeWorker

Result = TypeVar("Result")
UNWANTED: Final = 2.0
"""Seconds that a decode may go on for nobody: most end by then, and a process that is killed must be started again."""


@dataclass
class _Decode:
    """One decode: the worker while it runs there, and whether anybody wants it."""

    worker: DecodeWorker | None = None
    unwanted: bool = False


class Decoders:
    """At most `processes` decode at once. Threads of their own wait for them: others, which read requests, stay free."""

    def __init__(self, processes: int) -> None:
        self._workers = [DecodeWorker() for _ in range(processes)]
        self._idle: LifoQueue[DecodeWorker] = LifoQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(processes, "decoder")
        self._lock = Lock()

    async def run(self, deadline: float, decode: Callable[..., Result], path: Path, *arguments: Any) -> Result:
        """As `DecodeWorker.run`. What has not begun when its caller is cancelled never begins; what goes on for long is killed."""
        loop, asked = asyncio.get_running_loop(), _Decode()
        try:
            return await loop.run_in_executor(self._threads, self._run, asked, deadline, decode, path, *arguments)
        except asyncio.CancelledError:
            asked.unwanted = True
            loop.call_later(UNWANTED, self._kill, asked)
            raise

    def close(self) -> None:
        """Kill all processes, busy or not."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for worker in self._workers:
            worker.close()

    def _run(self, asked: _Decode, deadline: float, decode: Callable[..., Result], path: Path, *more: Any) -> Result:
        worker = self._idle.get()
        try:
            with self._lock:
                if asked.unwanted:
                    raise asyncio.CancelledError
                asked.worker = worker
            return worker.run(deadline, decode, path, *more)
        finally:
            with self._lock:
                asked.worker = None
            self._idle.put(worker)

    def _kill(self, asked: _Decode) -> None:
        with self._lock:
            if asked.worker is not None:
                asked.worker.kill()
