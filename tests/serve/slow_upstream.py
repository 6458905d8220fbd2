"""An OpenAI-compatible server on loopback that answers any chat with markup, a word at a time."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.loopback.serving import served
from tests.serve.page_steps import HOSTILE

WORDS = HOSTILE + " and <b onclick=alert(1)>more</b>" * 8


@contextmanager
def slow_upstream() -> Iterator[str]:
    """Its address."""
    routes = [Route("/v1/models", _models), Route("/v1/chat/completions", _chat, methods=["POST"])]
    with served(Starlette(routes=routes)) as address:
        yield address


async def _models(_: Request) -> Response:
    return JSONResponse({"object": "list", "data": [{"id": "slow", "object": "model"}]})


async def _chat(request: Request) -> Response:
    assert (await request.json())["stream"]
    return StreamingResponse(_events(), media_type="text/event-stream")


async def _events() -> AsyncIterator[str]:
    told = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "slow"}
    for word in WORDS.split(" "):
        await asyncio.sleep(0.15)
        choice = {"index": 0, "delta": {"content": word + " "}, "finish_reason": None}
        yield f"data: {json.dumps(told | {'choices': [choice]})}\n\n"
    yield f"data: {json.dumps(told | {'choices': [{'index': 0, 'delta': {}, 'finish_reason': 'stop'}]})}\n\n"
    usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
    yield f"data: {json.dumps(told | {'choices': [], 'usage': usage})}\n\n"
    yield "data: [DONE]\n\n"
