"""The other side of `DecodeWorker`: a process that decodes on request and never outlives who started it."""

import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

from videorouter.video.errors import VideoOutOfMemory

LOOK = 0.5
"""Seconds between two looks whether the parent still lives."""
GRACE = 5.0
"""Seconds after a deadline at which the kernel ends a process that nobody has killed."""


def serve(pipe: Connection) -> None:
    """Answer `(deadline, decode, path, arguments)` with frames or an exception, until the other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends this process
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
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


def _end_with_parent() -> None:
    """The pipe's end would tell too, but not while decoding, nor where another child of the parent inherited it."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    while os.getppid() == parent.pid:
        time.sleep(LOOK)
    os._exit(1)
