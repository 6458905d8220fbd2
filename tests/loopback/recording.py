"""A server of OpenAI's interface between ours and another, which passes everything on and remembers what was asked."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tests.loopback.serving import served


@dataclass
class Recording:
    """`address`, up to /v1, stands for `upstream`; `bodies` are the requests, in their order."""

    upstream: str
    address: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def recording(upstream: str) -> Iterator[Recording]:
    """One that stands for `upstream`, an address up to /v1."""
    found = Recording(upstream)

    async def listed(request: Request) -> Response:
        async with httpx2.AsyncClient(timeout=120) as client:
            answer = await client.get(f"{upstream}/models")
        return Response(answer.content, answer.status_code, media_type="application/json")

    async def passed_on(request: Request) -> Response:
        body = await request.body()
        found.bodies.append(json.loads(body))
        client = httpx2.AsyncClient(timeout=120)
        sent = client.build_request("POST", f"{upstream}/{request.path_params['path']}", content=body)
        sent.headers["content-type"] = "application/json"
        answer = await client.send(sent, stream=True)

        async def pieces() -> AsyncIterator[bytes]:
            try:
                async for piece in answer.aiter_bytes():
                    yield piece
            finally:
                await answer.aclose()
                await client.aclose()

        return StreamingResponse(pieces(), answer.status_code, media_type=answer.headers["content-type"])

    routes = [Route("/v1/models", listed), Route("/v1/{path:path}", passed_on, methods=["POST"])]
    with served(Starlette(routes=routes)) as address:
        found.address = f"{address}/v1"
        yield found
