"""What comes from an upstream in place of an answer is an error that says what came and what to do."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.loopback.serving import served
from videorouter.serve.engines.engine import Whole
from videorouter.serve.engines.pieces import pieces_of
from videorouter.serve.engines.upstream import Upstream
from videorouter.serve.engines.upstream_chat import SentChat, UpstreamChat
from videorouter.serve.errors import Unreachable

MODELS = {"data": [{"id": "tiny"}]}
USAGE = {"prompt_tokens": 1, "completion_tokens": 0, "total_tokens": 1}


def application(answer: Response, models: Response | None = None) -> Starlette:
    """Answers every chat with `answer`."""

    async def chat(_: Request) -> Response:
        return answer

    async def listed(_: Request) -> Response:
        return models or JSONResponse(MODELS)

    return Starlette(routes=[Route("/v1/models", listed), Route("/v1/chat/completions", chat, methods=["POST"])])


def events(*chunks: Any) -> Response:
    """A stream of them."""
    told = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
    return Response(told + "data: [DONE]\n\n", media_type="text/event-stream")


@asynccontextmanager
async def asked(address: str, patience: float = 10) -> AsyncIterator[Upstream]:
    """The upstream there, ready to be asked."""
    upstream = Upstream(f"{address}/v1", None, patience)
    try:
        await upstream.find_model()
        yield upstream
    finally:
        await upstream.close()


async def whole(upstream: Upstream) -> Whole:
    return await UpstreamChat(upstream).complete(SentChat({}))


async def stream(upstream: Upstream) -> None:
    async for _ in pieces_of(upstream.events("chat/completions", {})):
        pass


def told_of(answer: Response, way: Callable[[Upstream], Awaitable[Any]], patience: float = 10) -> Unreachable:
    """The error that comes of it."""

    async def ask(address: str) -> None:
        async with asked(address, patience) as upstream:
            await way(upstream)

    with served(application(answer)) as address, pytest.raises(Unreachable) as error:
        asyncio.run(ask(address))
    return error.value


@pytest.mark.parametrize("way", [whole, stream])
def test_a_redirect_is_an_error_that_names_where_it_leads(way: Callable[[Upstream], Awaitable[Any]]) -> None:
    error = told_of(RedirectResponse("https://user:secret@elsewhere.example:8443/v1/chat?token=hidden", 302), way)
    assert error.status == 503
    assert "302, a redirect to https://elsewhere.example:8443: give that address" in error.message
    assert "--upstream" in error.message
    assert "secret" not in error.message
    assert "hidden" not in error.message


@pytest.mark.parametrize("way", [whole, stream])
def test_a_redirect_to_nowhere_and_an_empty_answer_are_errors(way: Callable[[Upstream], Awaitable[Any]]) -> None:
    assert "304" in told_of(Response(status_code=304), way).message
    assert "204" in told_of(Response(status_code=204), way).message


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"choices": []}, "without choices"),
        ({"usage": USAGE}, "without choices"),
        ({"choices": None}, "without choices"),
        ({"choices": "yes"}, "no chat completion"),
        ({"choices": ["yes"]}, "no chat completion"),
        (["yes"], "no chat completion"),
    ],
)
def test_a_whole_answer_without_choices_is_an_error(answer: Any, says: str) -> None:
    assert says in told_of(JSONResponse(answer), whole).message


@pytest.mark.parametrize(
    ("chunks", "says"),
    [
        ([], "without choices"),
        ([{"choices": []}, {"choices": [], "usage": USAGE}], "without choices"),
        ([{"choices": "yes"}], "no chat completion"),
        (["yes"], "no chat completion"),
        ([None], "no chat completion"),
    ],
)
def test_a_stream_without_choices_is_an_error(chunks: list[Any], says: str) -> None:
    assert says in told_of(events(*chunks), stream).message


@pytest.mark.parametrize(
    "models",
    [
        JSONResponse({"detail": "nope"}, 404),
        JSONResponse([]),
        JSONResponse({"data": "none"}),
        JSONResponse({"models": []}),
        Response("<html>"),
    ],
)
def test_an_address_that_lists_no_models_is_told_how_one_looks(models: Response) -> None:
    async def ask(address: str) -> None:
        async with asked(address):
            pass

    with (
        served(application(events(), models)) as address,
        pytest.raises(ValueError, match=r"lists no models at .*/models: give the address up to /v1"),
    ):
        asyncio.run(ask(address))


@pytest.mark.parametrize("way", [whole, stream])
def test_a_silent_upstream_is_waited_for_as_long_as_is_said(way: Callable[[Upstream], Awaitable[Any]]) -> None:
    async def chat(_: Request) -> Response:
        await asyncio.sleep(1.5)
        return JSONResponse({})

    async def listed(_: Request) -> Response:
        return JSONResponse(MODELS)

    async def ask(address: str) -> None:
        async with asked(address, 0.3) as upstream:
            await way(upstream)

    routes = [Route("/v1/models", listed), Route("/v1/chat/completions", chat, methods=["POST"])]
    with served(Starlette(routes=routes)) as address, pytest.raises(Unreachable, match=r"--upstream_patience .*0.3 s"):
        asyncio.run(ask(address))
