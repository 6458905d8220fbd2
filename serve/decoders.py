"""The processes that decode clients' videos, waited for without holding up anything else (ours)."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from videorouter.video.worker import DecodePool

Result = TypeVar("Result")


class Decoders:
    """At most `processes` decode at once. Threads of their own wait for them: others, which read requests, stay free."""

    def __init__(self, processes: int) -> None:
        self._pool = DecodePool(processes)
        self._threads = ThreadPoolExecutor(processes, "decoder")

    async def run(self, deadline: float, decode: Callable[..., Result], path: Path, *arguments: Any) -> Result:
        """As `DecodeWorker.run`; what has not begun when its caller is cancelled never begins."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._pool.run, deadline, decode, path, *arguments)

    def close(self) -> None:
        """Kill all processes, busy or not."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._pool.close()
