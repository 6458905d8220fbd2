"""Answers as they leave: one object, or server-sent events that end with the client (ours)."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

from sse_starlette import EventSourceResponse

from videorouter.serve.chat.reply import DONE, Reply, error_event, first_choice
from videorouter.serve.chat.request import ChatRequest
from videorouter.serve.errors import RequestError, Stopping
from videorouter.serve.service import Answered

_log = logging.getLogger(__name__)
Left = Callable[[int, dict[str, float]], None]
"""Told once how a request ended: its status, and the seconds of its stages."""
PING = 15
"""Seconds of silence after which a comment keeps a stream alive."""


class ServerFailed(RequestError):
    """A fault of the server's own, amid a stream."""

    status, kind = 500, "server_error"


def whole_answer(model: str, answered: Answered) -> dict[str, Any]:
    """The completion object; the answer's seconds are complete afterwards."""
    assert answered.whole is not None
    answered.seconds |= answered.whole.seconds
    return Reply(model).completion(answered.whole.choices, answered.whole.usage, answered.extension())


class StreamedAnswer(EventSourceResponse):
    """An answer's chunks. When the response ends, however it does, the answer is no longer worked at, and `left` is told."""

    def __init__(self, model: str, chat: ChatRequest, answered: Answered, left: Left) -> None:
        self._reply, self._chat, self._answered, self._left = Reply(model, chat.include_usage), chat, answered, left
        self._status = 499
        super().__init__(self._events(), sep="\n", ping=PING)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send it."""
        assert self._answered.pieces is not None
        try:
            async with aclosing(self._answered.pieces):
                await super().__call__(scope, receive, send)
        except asyncio.CancelledError:  # by a server that stops, which tells the client so
            self._status = Stopping.status
            raise
        finally:
            self._left(self._status, self._answered.seconds)

    async def _events(self) -> AsyncIterator[dict[str, Any]]:
        try:
            async for chunk in self._chunks():
                yield {"data": json.dumps(chunk, ensure_ascii=False, separators=(",", ":"))}
            self._status = 200
        except RequestError as error:
            self._status = error.status
            yield {"data": json.dumps(error_event(error))}
        except Exception as error:
            _log.exception("a stream failed")
            self._status = 500
            told = ServerFailed(f"the server failed ({type(error).__name__}); its log says more")
            yield {"data": json.dumps(error_event(told))}
        yield {"data": DONE}

    async def _chunks(self) -> AsyncIterator[dict[str, Any]]:
        """The first says how the question was routed, the last of the answer how long everything took."""
        reply, answered = self._reply, self._answered
        assert answered.pieces is not None
        usage = None
        yield reply.chunk([first_choice()], answered.extension())
        async for piece in answered.pieces:
            answered.seconds |= piece.seconds
            usage = piece.usage or usage
            if piece.choices or piece.seconds:
                last = answered.extension() if piece.seconds else None
                yield reply.chunk(piece.choices, last)
        if self._chat.include_usage:
            yield reply.usage_chunk(usage)
