"""An OpenAI-compatible endpoint on a loopback port that misbehaves in a named way, until the fault is said to be gone.

It writes its bytes itself: what it sends no HTTP library would. When nothing is wrong it replies as `sensible_reply` does.
What was answered is counted by the content of requests, so that "paid twice" can be told.
"""

import asyncio
import json
import socket
import struct
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Any

from tests.loopback.endpoint.asked import Asked
from tests.loopback.endpoint.mode import Mode
from tests.loopback.endpoint.sensible import sensible_completion, sensible_reply
from tests.loopback.endpoint.sent import Sent, error, told

CHAT = "/chat/completions"
PAUSE = 0.002
"""Seconds between looks at what is to be done."""


class MisbehavingEndpoint:
    """`address` is its base URL. `answered` counts good answers by the request's content, `asked` all requests.

    It serves from a thread of its own; `begin` and `repair` may be called from any other.
    """

    def __init__(self) -> None:
        self._mode: Mode | None = None
        self._attempts: Counter[str] = Counter()
        self._since = 0.0
        self.answered: Counter[str] = Counter()
        self.asked: list[Asked] = []
        self._loop = asyncio.new_event_loop()
        self._closing = asyncio.Event()
        self._connections: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._thread = Thread(target=self._loop.run_forever, daemon=True)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def paid_twice(self) -> list[str]:
        """Contents that were answered well more than once."""
        return [key for key, times in self.answered.items() if times > 1]

    def begin(self, mode: Mode | None) -> None:
        """Forget all that was counted, and misbehave in this way from now on."""

        async def change() -> None:
            self._mode, self._since = mode, self._loop.time()
            self._attempts, self.answered, self.asked = Counter(), Counter(), []
            await self._listen(not (mode and mode.down_seconds))
            if mode and mode.down_seconds:
                self._loop.call_later(mode.down_seconds, lambda: self._loop.create_task(self._listen(True)))

        self._do(change())

    def repair(self) -> None:
        """The fault is gone; what was counted stays."""

        async def change() -> None:
            self._mode = None
            await self._listen(True)

        self._do(change())

    def close(self) -> None:
        """End the server and its thread."""

        async def end() -> None:
            await self._listen(False)
            serving = asyncio.all_tasks() - {asyncio.current_task()}
            for task in serving:
                task.cancel()
            await asyncio.gather(*serving, return_exceptions=True)

        self._do(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def start(self) -> None:
        """Serve."""
        self._thread.start()
        self._do(self._listen(True))

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self, listening: bool) -> None:
        if listening and self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=256)
        elif not listening and self._server is not None:
            self._server.close()
            self._server = None
            for connection in self._connections:
                connection.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            while request := await _read(reader):
                sent = self._reply(request)
                await self._write(writer, request, sent)
                if sent.ending != "keep":
                    break
        except (OSError, asyncio.IncompleteReadError):  # the client left
            pass
        finally:
            self._connections.discard(writer)
            with suppress(OSError):
                writer.close()

    async def _write(self, writer: asyncio.StreamWriter, request: Asked, sent: Sent) -> None:
        for piece in sent.pieces:
            if isinstance(piece, bytes):
                writer.write(piece)
                await writer.drain()
            else:
                await asyncio.sleep(piece)
            if writer.is_closing():
                return
        if sent.good:
            self.answered[request.key] += 1
        if sent.ending == "reset":  # a linger of no seconds: RST in place of FIN
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    def _reply(self, request: Asked) -> Sent:
        mode = self._mode
        if mode and mode.everywhere and (sent := mode.behave(request, _good(request))):
            return sent
        if request.path.endswith("/models"):
            return told({"object": "list", "data": [{"id": "teacher", "object": "model"}]})
        if not request.path.endswith(CHAT) or request.method != "POST":
            return error(404, f"no route {request.method} {request.path}")
        key = request.key
        self._attempts[key] += 1
        seen = Asked(**vars(request) | {"number": len(self.asked), "attempt": self._attempts[key]})
        self.asked.append(seen)
        good = _good(seen)
        if mode and mode.where(seen) and (sent := mode.behave(seen, good)):
            return sent
        return told(good, good=True)


def _good(asked: Asked) -> dict[str, object]:
    """The sensible completion; nothing for requests that are none."""
    if "messages" not in asked.body:
        return {}
    return sensible_completion(asked, json.dumps(sensible_reply(asked)))


async def _read(reader: asyncio.StreamReader) -> Asked | None:
    """The next request of a connection, or None at its end."""
    line = await reader.readline()
    if not line:
        return None
    method, path, _ = line.decode("latin-1").split(" ", 2)
    headers: dict[str, str] = {}
    while (line := await reader.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    data = await reader.readexactly(int(headers.get("content-length", 0)))
    body = json.loads(data) if data.startswith(b"{") else {}
    return Asked(method, path.partition("?")[0], headers, len(data), body)


@contextmanager
def misbehaving_endpoint() -> Iterator[MisbehavingEndpoint]:
    """One that behaves until `begin` names a way not to."""
    endpoint = MisbehavingEndpoint()
    endpoint.start()
    try:
        yield endpoint
    finally:
        endpoint.close()
