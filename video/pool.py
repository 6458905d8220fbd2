"""Several decoding processes, for callers with several threads."""

from collections.abc import Callable
from pathlib import Path
from queue import LifoQueue
from typing import Any

from videorouter.video.worker import DecodeWorker, Result


class DecodePool:
    """`processes` workers of `memory` GiB each; a process is started when all before it are busy. Safe among threads."""

    def __init__(self, processes: int = 1, memory: float = 4.0) -> None:
        if processes < 1:
            raise ValueError(f"{processes} decoding processes: at least one is needed")
        self._workers = [DecodeWorker(memory) for _ in range(processes)]
        self._idle: LifoQueue[DecodeWorker] = LifoQueue()
        for worker in self._workers:
            self._idle.put(worker)

    def run(self, deadline: float, decode: Callable[..., Result], path: Path, *arguments: Any) -> Result:
        """As `DecodeWorker.run`, once a worker is free; the deadline counts from then."""
        worker = self._idle.get()
        try:
            return worker.run(deadline, decode, path, *arguments)
        finally:
            self._idle.put(worker)

    def close(self) -> None:
        """Kill all processes, busy or not."""
        for worker in self._workers:
            worker.close()
