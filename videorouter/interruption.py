"""Ctrl-C gives a command a few seconds to close what it opened; which processes heed other signals, and end with their parent."""

import ctypes
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from typing import Any, Final

EXIT_CODE: Final = 130
"""As shells have it."""
GRACE: Final = 4.0
"""Seconds between Ctrl-C and the end of a process that is still there. What is on disk survives any kill."""

SAME: Final = 0.5
"""Seconds in which a second SIGINT is the first: forked processes share what tells of it, and a terminal interrupts all of them."""
PARENT_INTERVAL: Final = 0.5
"""Seconds between two looks at whether the parent is still there."""


@contextmanager
def ending_soon_after_interrupt(line: str, process_ends: bool) -> Iterator[Callable[[], None]]:
    """While the body runs, SIGINT does what it did, and `GRACE` seconds after it, or at a second one, the process is ended.

    Gives what prints `line`, once, on standard error; where the process is ended so, that is done before. With `process_ends` the
    body is all that the process does, and threads left over from it have no longer either. In threads nothing is changed.

    Signals are heard through Python's wakeup descriptor: the handler stays as it is, because asyncio cancels its work in order
    only where it finds Python's own; and a thread reads it while the main thread is in a long call of native code.
    """
    told = threading.Event()

    def tell() -> None:
        if not told.is_set():
            told.set()
            print(line, file=sys.stderr, flush=True)

    def listen() -> None:
        while signal.SIGINT not in (heard := ours.recv(1)):
            if not heard:
                return
        first = time.monotonic()
        while (left := first + GRACE - time.monotonic()) > 0:
            ours.settimeout(left)
            with suppress(TimeoutError):
                heard = ours.recv(1)
                if not heard:
                    return
                if signal.SIGINT in heard and time.monotonic() > first + SAME:
                    break
        tell()
        sys.stdout.flush()
        os._exit(EXIT_CODE)

    if threading.current_thread() is not threading.main_thread():
        yield tell
        return
    ours, signals = socket.socketpair()
    signals.setblocking(False)
    before = signal.set_wakeup_fd(signals.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=listen, daemon=True).start()
    try:
        yield tell
    finally:
        if not process_ends:
            try:
                signal.set_wakeup_fd(before)
            except (ValueError, OSError):  # who had set it has closed it
                signal.set_wakeup_fd(-1)
            signals.close()


@contextmanager
def starting_processes() -> Iterator[None]:
    """While the body starts processes that `belong_to_parent`: SIGINT waits, and does not reach them while they import."""
    resource_tracker.ensure_running()  # started with the first process, it would let SIGINT through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def belong_to_parent() -> None:
    """In a process made by `multiprocessing`: leave Ctrl-C to the parent, and end soon after it, however it ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    while os.getppid() == parent.pid:
        time.sleep(PARENT_INTERVAL)
    os._exit(1)


ASKED_TO_LEAVE: Final = (signal.SIGTERM, signal.SIGUSR1)
"""As schedulers and launchers send them, to every process of a job or to some."""
PR_SET_PDEATHSIG: Final = 1
"""Of Linux's prctl(2)."""


@contextmanager
def starting_workers() -> Iterator[None]:
    """While the body starts processes that `leave_leaving_to_parent`: those begin with `ASKED_TO_LEAVE` held back."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ASKED_TO_LEAVE)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_leaving_to_parent(*_: Any) -> None:
    """In a process made by `multiprocessing`: heed SIGTERM from the parent alone, no SIGUSR1, and end with the parent.

    Schedulers signal every process of a job. A worker that left at once would take the step from a parent that finishes it first.
    Takes, and needs not, what a `DataLoader` tells its workers.
    """
    end_with_parent()
    parent = multiprocessing.parent_process()
    assert parent is not None
    if os.getppid() != parent.pid:  # it ended before Linux was asked
        os._exit(1)
    signal.pthread_sigmask(signal.SIG_BLOCK, ASKED_TO_LEAVE)
    threading.Thread(target=_heed_parent, daemon=True).start()


def end_with_parent() -> None:
    """Have Linux kill this process when the thread that started it ends; elsewhere nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _heed_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    while True:
        told = signal.sigwaitinfo(ASKED_TO_LEAVE)
        if told.si_signo == signal.SIGTERM and told.si_pid == parent.pid:
            os._exit(0)
