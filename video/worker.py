"""Decoding in a process of its own: native decoders can hang or die on foreign files, and only a process can be killed.

First the side that asks (`DecodeWorker`, `DecodePool`), then the side that decodes (`serve`), which never outlives the former.
"""

import multiprocessing
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import LifoQueue
from typing import Any, TypeVar

import psutil

from videorouter.interruption import belong_to_parent, starting_processes
from videorouter.video.errors import CorruptVideo, VideoError, VideoOutOfMemory, VideoTimeout

Result = TypeVar("Result")
START = 120.0
"""Seconds a process may take to start, which is no file's fault."""
MEMORY_INTERVAL = 0.05
"""Seconds between two readings of its memory."""
GRACE = 5.0
"""Seconds after a deadline at which the kernel ends a process that nobody has killed."""
OUTSIDE = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM}
"""Signals that no decoder sends itself."""


class DecodeWorker:
    """One decoding process, started when first needed and again after it was killed or died.

    It may hold `memory` GiB, and ends by itself when this process does.
    """

    def __init__(self, memory: float = 4.0) -> None:
        self.memory = memory
        self._context = multiprocessing.get_context("spawn")
        self._running: tuple[BaseProcess, Connection] | None = None

    def run(self, deadline: float, decode: Callable[..., Result], path: Path, *arguments: Any) -> Result:
        """`decode(path, *arguments)`, one of `videorouter.video.decode`'s functions or one over them, within `deadline` seconds.

        Raises what that raises, `VideoTimeout` at the deadline, `VideoOutOfMemory` beyond the memory it may hold or where the
        system killed it, `CorruptVideo` where the decoder died of the file, `RuntimeError` where the process does not start.
        """
        process, pipe = self._start()
        outcome: Any = None
        try:
            pipe.send((deadline, decode, path, arguments))
            self._watch(process, pipe, path, deadline)
            outcome = pipe.recv()
        except (EOFError, OSError) as error:
            process.join(10)
            raise _death(path, process.exitcode) from error
        finally:
            if outcome is None:  # whatever it would still say is no answer to the next question
                self.close()
        if isinstance(outcome, Exception):
            raise outcome
        decoded: Result = outcome
        return decoded

    def kill(self) -> None:
        """Kill the process, if there is one, from another thread than the one in `run`, which then raises `VideoError`."""
        if (running := self._running) is not None:
            running[0].kill()

    def close(self) -> None:
        """Kill the process, if there is one."""
        if self._running is not None:
            (process, pipe), self._running = self._running, None
            process.kill()
            process.join()
            pipe.close()

    def _watch(self, process: BaseProcess, pipe: Connection, path: Path, deadline: float) -> None:
        """Until the process says something. RLIMIT_AS would count address space, of which libraries reserve much and use little."""
        end = time.monotonic() + deadline
        while not pipe.poll(max(0.0, min(MEMORY_INTERVAL, end - time.monotonic()))):
            if time.monotonic() >= end:
                raise VideoTimeout(path, f"not decoded after {deadline:g} s; the decoding process was killed")
            try:
                held = psutil.Process(process.pid).memory_info().rss / 2**30
            except psutil.Error:  # it just died: the pipe says so next
                continue
            if held > self.memory:
                raise VideoOutOfMemory(
                    path,
                    f"decoding it held {held:.2f} GiB, more than the {self.memory:g} it may; the process was killed",
                )

    def _start(self) -> tuple[BaseProcess, Connection]:
        if self._running is not None and self._running[0].is_alive():
            return self._running
        self.close()
        pipe, theirs = self._context.Pipe()
        process = self._context.Process(target=serve, args=(theirs,), daemon=True)
        with starting_processes():
            process.start()
        theirs.close()
        self._running = process, pipe
        try:
            started = pipe.poll(START) and pipe.recv()
        except (EOFError, OSError):
            started = False
        if not started:
            self.close()
            raise RuntimeError(
                "the decoding process did not start; a script that decodes in processes needs the usual "
                '`if __name__ == "__main__":` around what it runs'
            )
        return self._running


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


def serve(pipe: Connection) -> None:
    """Answer `(deadline, decode, path, arguments)` with frames or an exception, until the other end closes."""
    belong_to_parent()  # the pipe's end tells too, but not while decoding, nor where another child of the parent inherited it
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    try:
        pipe.send("ready")
        while True:
            try:
                deadline, decode, path, arguments = pipe.recv()
            except (AttributeError, ImportError) as error:  # a function that this process cannot import
                pipe.send(RuntimeError(f"the decoding process cannot find what to run: {error}"))
                continue
            # Native code may keep the interpreter's lock, so that no thread here sees the parent die: the kernel needs none.
            signal.setitimer(signal.ITIMER_REAL, deadline + GRACE)
            try:
                answer = decode(path, *arguments)
            except MemoryError:
                answer = VideoOutOfMemory(path, "decoding it ran out of memory")
            except Exception as error:
                answer = error
            _send(pipe, answer)
            signal.setitimer(signal.ITIMER_REAL, 0)
            del answer
    except (EOFError, OSError):  # the other end is gone
        return


def _death(path: Path, exit_code: int | None) -> VideoError:
    """Verdict on a file whose decoding process ended without an answer."""
    if exit_code == -signal.SIGKILL:
        return VideoOutOfMemory(
            path, "the decoding process was killed from outside, as systems do when memory runs out"
        )
    if exit_code is None or -exit_code in OUTSIDE:
        return VideoTimeout(path, "the decoding process was ended from outside before it was through")
    return CorruptVideo(path, f"the decoding process died of it (exit code {exit_code})")


def _send(pipe: Connection, answer: Any) -> None:
    try:
        pipe.send(answer)
    except (
        TypeError,
        AttributeError,
        multiprocessing.ProcessError,
        ValueError,
    ) as error:  # an exception that cannot be pickled
        pipe.send(RuntimeError(f"{answer!r} ({error})"))
