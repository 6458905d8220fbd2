"""The chunks of an upstream's stream -> pieces of an answer (ours)."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from videorouter.serve.engines.engine import Piece


async def pieces_of(chunks: AsyncGenerator[dict[str, Any]]) -> AsyncGenerator[Piece]:
    """Choices as they come; those that end an answer are held back for the last piece, with usage and seconds.

    So no chunk without choices goes to clients, many of which read `choices[0]` of every one. An empty piece comes first, once
    there is a chunk. Raises as `chunks`.
    """
    started, first = time.perf_counter(), 0.0
    held: list[dict[str, Any]] = []
    usage, begun = None, False
    async with aclosing(chunks):
        async for chunk in chunks:
            if not begun:
                begun = True
                yield Piece()
            choices = chunk.get("choices") or []
            if choices:
                first = first or time.perf_counter()
            usage = chunk.get("usage") or usage
            held += [choice for choice in choices if choice.get("finish_reason")]
            if running := [choice for choice in choices if not choice.get("finish_reason")]:
                yield Piece(running)
    ended = time.perf_counter()
    seconds = {"prefill": (first or ended) - started, "generate": ended - (first or ended)}
    yield Piece(held, usage, seconds)
