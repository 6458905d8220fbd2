"""Connections of clients: at most so many, none that keeps its place without asking, or without reading its answer (ours)."""

import asyncio
import errno
import logging
import os
import socket
import time
import weakref
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

MOST: Final = 1000
"""Connections at once, where the process may open files enough."""
LEAST: Final = 8
"""However few files it may open."""
RESERVE: Final = 96
"""Open files that a server holds beside its clients' and those of their requests: its model's, its decoders', its logs."""
SILENCE: Final = 60.0
"""Seconds between two lines about connections that are refused."""
_log = logging.getLogger(__name__)


def most_connections(asked: int | None, most_waiting: int) -> int:
    """Connections at once: `asked`, or what the soft limit of open files leaves room for.

    Each may hold a file beside its socket (an upload), and each request in work two more (its video, its upstream). Raises
    `ValueError` for more than the process may open files.
    """
    import resource

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if asked is not None:
        if files != resource.RLIM_INFINITY and asked >= files:
            raise ValueError(
                f"most_connections is {asked}, and this process may open {files} files: give less, or raise `ulimit -n`"
            )
        return asked
    if files == resource.RLIM_INFINITY:
        return MOST
    return max(LEAST, min(MOST, (files - RESERVE - 2 * most_waiting) // 2))


class Connections(ServerState):
    """All of one server: at most `most`, of which each has `seconds` for the headers of a request, `stalled` for reading on."""

    def __init__(self, most: int, seconds: float, stalled: float) -> None:
        super().__init__()
        self.most, self.seconds, self.stalled = most, seconds, stalled
        self.waiting: dict[Connection, None] = {}
        """Those without a request in work, longest waiting first."""

    def close_longest_waiting(self) -> bool:
        """Make room. Whether there was one."""
        longest = next(iter(self.waiting), None)
        if longest is None:
            return False
        longest.abort()
        return True


class Connection(H11Protocol):
    """uvicorn's, with deadlines: its own keep-alive ends with the first byte of a next request, and a first has none at all."""

    _waits: asyncio.TimerHandle | None = None
    _stalls: asyncio.TimerHandle | None = None

    @property
    def _all(self) -> Connections:
        assert isinstance(self.server_state, Connections)
        return self.server_state

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_more()
        self._stop(self._stalls)
        super().connection_lost(exc)

    def handle_events(self) -> None:
        before = self.cycle
        super().handle_events()
        if self.cycle is not before and not self.cycle.response_complete:
            self._wait_no_more()

    def on_response_complete(self) -> None:
        self._wait()  # also while it closes: what is not read by then never will be
        super().on_response_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stop(self._stalls)
        self._stalls = self.loop.call_later(self._all.stalled, self.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop(self._stalls)

    def abort(self) -> None:
        """Close it at once, whatever has not been sent."""
        self._wait_no_more()
        self.transport.abort()

    def _wait(self) -> None:
        self._wait_no_more()
        self._all.waiting[self] = None
        self._waits = self.loop.call_later(self._all.seconds, self.abort)

    def _wait_no_more(self) -> None:
        self._all.waiting.pop(self, None)
        self._stop(self._waits)

    @staticmethod
    def _stop(timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()


class Listener(socket.socket):
    """A listening socket that accepts no more connections than there may be, and sets asyncio no errors to log over and over.

    A new one takes the place of the one that has waited longest without a request; where all have one, it is closed.
    """

    def __init__(self, bound: socket.socket, connections: Connections) -> None:
        super().__init__(bound.family, bound.type, bound.proto, bound.detach())
        self._connections, self._told = connections, -SILENCE
        self._open: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._spare = os.open(os.devnull, os.O_RDONLY)

    def accept(self) -> tuple[socket.socket, Any]:
        """As `socket.accept`. Raises `BlockingIOError` where none comes, or none can be taken now."""
        if self._full():
            if self._connections.close_longest_waiting() or len(self._open) > len(self._connections.connections):
                raise BlockingIOError(errno.EAGAIN, "a place is about to be free")
            refused, _ = super().accept()
            refused.close()
            self._tell(f"{self._connections.most} connections are open, each with a request: new ones are closed")
            raise BlockingIOError(errno.EAGAIN, "all connections are in use")
        try:
            accepted, address = super().accept()
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            self._refuse_with_the_spare()
            raise BlockingIOError(errno.EAGAIN, "no file can be opened") from error
        self._open.add(accepted)
        return accepted, address

    def close(self) -> None:
        """As `socket.close`."""
        if self._spare >= 0:
            os.close(self._spare)
            self._spare = -1
        super().close()

    def _full(self) -> bool:
        if len(self._open) < self._connections.most:
            return False
        for connection in list(self._open):
            if connection.fileno() < 0:
                self._open.discard(connection)
        return len(self._open) >= self._connections.most

    def _refuse_with_the_spare(self) -> None:
        """One that cannot be accepted would be offered again at once, for ever."""
        self._tell(
            "this process may open no more files: new connections are closed (see --most_connections, ulimit -n)"
        )
        if self._spare < 0:
            return
        os.close(self._spare)
        self._spare = -1
        try:
            refused, _ = super().accept()
            refused.close()
            self._spare = os.open(os.devnull, os.O_RDONLY)
        except OSError:
            pass

    def _tell(self, line: str) -> None:
        now = time.monotonic()
        if now - self._told >= SILENCE:
            self._told = now
            _log.warning("%s", line)
