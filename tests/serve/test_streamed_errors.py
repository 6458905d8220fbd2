"""What refuses a streamed request is told by its status, as of one that is not streamed, and not amid a stream that began well."""

import asyncio
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.loopback.serving import served
from tests.serve.serving import NAME, Serving
from videorouter.serve.engines.engine import Piece
from videorouter.serve.engines.upstream import Upstream, UpstreamRefusal
from videorouter.serve.engines.upstream_chat import SentChat, UpstreamChat


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_beyond_all_positions_is_400_and_says_what_to_do(serving: Serving, stream: bool) -> None:
    body = {"model": NAME, "stream": stream, "messages": [{"role": "user", "content": "word " * 12_000}]}
    with serving.http() as client:
        response = client.post("/v1/chat/completions", json=body)
    assert response.status_code == 400, response.text
    assert "take fewer frames or a smaller budget" in response.json()["error"]["message"]


async def answer(request: Request) -> Response:
    if (await request.json())["messages"][0]["content"] == "busy":
        return JSONResponse({"error": {"message": "come later", "type": "rate"}}, 429, {"Retry-After": "7"})
    events = (f"data: {event}\n\n" for event in ('{"choices": []}', "[DONE]"))
    return StreamingResponse(events, media_type="text/event-stream")


def first_piece(text: str) -> Piece:
    async def asked(address: str) -> Piece:
        upstream = Upstream(f"{address}/v1", "model")
        body: dict[str, Any] = {"messages": [{"role": "user", "content": text}]}
        pieces = UpstreamChat(upstream).stream(SentChat(body))
        try:
            return await anext(pieces)
        finally:
            await pieces.aclose()
            await upstream.close()

    with served(Starlette(routes=[Route("/v1/chat/completions", answer, methods=["POST"])])) as address:
        return asyncio.run(asked(address))


def test_an_upstreams_refusal_comes_before_the_first_piece_with_its_status_and_when_to_come_again() -> None:
    with pytest.raises(UpstreamRefusal, match="come later") as raised:
        first_piece("busy")
    assert (raised.value.status, raised.value.headers) == (429, {"Retry-After": "7"})


def test_the_first_piece_is_empty_and_says_that_the_request_was_accepted() -> None:
    assert first_piece("anything") == Piece()
