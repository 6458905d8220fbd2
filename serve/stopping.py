"""How the server stops: no new requests, some seconds for those in work, then each of them is told (ours)."""

import asyncio
import atexit
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

import uvicorn
from starlette.responses import JSONResponse

from videorouter.serve.chat.reply import DONE, error_event
from videorouter.serve.errors import Stopping

GRACE: Final = {signal.SIGTERM: 5.0, signal.SIGINT: 1.0}
"""Seconds that requests in work have after a signal. After Ctrl-C the command itself ends within four."""
TICK: Final = 0.05
"""Seconds between two looks at what is still in work."""


class StoppableServer(uvicorn.Server):
    """uvicorn without its way of stopping: that raises the signal again before what was opened can be closed."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals to `stopped_by_signals`."""
        yield


@contextmanager
def stopped_by_signals(server: uvicorn.Server) -> Iterator[list[int]]:
    """While the body runs, SIGTERM and SIGINT stop the server; gives those that came."""
    came: list[int] = []

    def stop(number: int, _: FrameType | None) -> None:
        came.append(number)
        server.should_exit = True

    before = {number: signal.signal(number, stop) for number in GRACE}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ending_beside(busy: Callable[[], bool], code: int) -> None:
    """Let the process end with `code` although a thread is in a long pass of the model: torch aborts one that ends around it."""

    def end() -> None:
        if busy():
            logging.shutdown()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    atexit.register(end)  # after the command's last words


class RequestsInWork:
    """The ASGI application around another that knows its requests, so that a server can end them, each with an answer."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._running: set[asyncio.Task[Any]] = set()
        self._over = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        task = asyncio.current_task()
        if scope["type"] != "http" or task is None:
            await self._app(scope, receive, send)
            return
        sent: dict[str, Any] | None = None

        async def sending(message: dict[str, Any]) -> None:
            nonlocal sent
            sent = sent or message
            await send(message)

        self._running.add(task)
        try:
            await self._app(scope, receive, sending)
        except asyncio.CancelledError:
            if not self._over:
                raise
            await _tell(sent, scope, receive, send)
        finally:
            self._running.discard(task)

    async def end(self, seconds: float) -> None:
        """Wait so long for the requests in work, then end those that are left."""
        clock = asyncio.get_running_loop().time
        until = clock() + seconds
        while self._running and clock() < until:
            await asyncio.sleep(TICK)
        self._over = True
        for task in list(self._running):
            task.cancel()


async def _tell(sent: dict[str, Any] | None, scope: Any, receive: Any, send: Any) -> None:
    """As the error object, or amid a stream as its last event."""
    error = Stopping()
    if sent is None:
        await JSONResponse(error.body(), error.status)(scope, receive, send)
    elif (b"content-type", b"text/event-stream; charset=utf-8") in sent.get("headers", []):
        last = f"data: {json.dumps(error_event(error))}\n\ndata: {DONE}\n\n"
        await send({"type": "http.response.body", "body": last.encode(), "more_body": False})
