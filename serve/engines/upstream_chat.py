"""A chat request answered by the upstream's own chat: its chunks, tools, finish reason, usage and errors (ours)."""

import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from videorouter.serve.chat.request import ChatRequest, forwarded
from videorouter.serve.engines.engine import Piece, Whole
from videorouter.serve.engines.pieces import pieces_of
from videorouter.serve.engines.upstream import Upstream


@dataclass(frozen=True)
class SentChat:
    """The body of a chat request for the upstream, and the pictures that were put into it, as an answer's extension tells."""

    body: dict[str, Any]
    pictures: dict[str, Any] | None = None


class UpstreamChat:
    """`stream` and `complete` of an engine whose answers are an upstream's chat."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    def as_it_came(self, chat: ChatRequest) -> SentChat:
        """The request with nothing routed in it: its messages untouched, of its other fields those that may go on."""
        return SentChat(forwarded(chat) | {"model": self._upstream.model})

    def with_messages(
        self, chat: ChatRequest, messages: list[dict[str, Any]], pictures: dict[str, Any] | None = None
    ) -> SentChat:
        """The request with other messages, in which the video is gone and `pictures` stand."""
        return SentChat(forwarded(chat, messages) | {"model": self._upstream.model}, pictures)

    def stream(self, sent: SentChat) -> AsyncGenerator[Piece]:
        """The upstream's chunks. Raises `RequestError`."""
        body = sent.body | {"stream": True, "stream_options": {"include_usage": True}}
        return pieces_of(self._upstream.events("chat/completions", body))

    async def complete(self, sent: SentChat) -> Whole:
        """The upstream's answer. Raises `RequestError`."""
        started = time.perf_counter()
        body = {name: value for name, value in sent.body.items() if name not in ("stream", "stream_options")}
        made = await self._upstream.answer("chat/completions", body)
        return Whole(made.get("choices") or [], made.get("usage"), {"upstream": time.perf_counter() - started})
