"""How long a teacher is waited for: each request from its start to its end, each endpoint by what it has shown so far."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.loopback.raw import raw_server
from tests.loopback.serving import served
from videorouter.data_builders.teacher.config import TeacherConfig
from videorouter.data_builders.teacher.errors import TeacherFailure, TeacherUnavailable
from videorouter.data_builders.teacher.replies import QuestionCategory
from videorouter.data_builders.teacher.retry_after import LEAST, MOST, retry_after
from videorouter.data_builders.teacher.teacher import Teacher

REPLY = '{"category": "counting", "reason": "it counts"}'
NOBODY = "http://127.0.0.1:9/v1"


def good() -> Response:
    return JSONResponse({"choices": [{"message": {"content": REPLY}, "finish_reason": "stop"}]})


@contextmanager
def answering(respond: Callable[[int], Response]) -> Iterator[tuple[str, list[float]]]:
    """An endpoint that gives `respond(n)` to its n-th request, from 0, and the moments at which they came."""
    came: list[float] = []

    async def complete(request: Request) -> Response:
        await request.body()
        came.append(time.monotonic())
        return respond(len(came) - 1)

    with served(Starlette(routes=[Route("/v1/chat/completions", complete, methods=["POST"])])) as address:
        yield f"{address}/v1", came


async def ask(teacher: Teacher, question: str = "q") -> str:
    return await teacher.ask(question, [], QuestionCategory, lambda reply: str(reply.category))


def seconds_until(error: type[Exception], reason: str, **options: object) -> float:
    """How long it takes until one question ends in `error`."""
    start = time.monotonic()
    with pytest.raises(error, match=reason):
        asyncio.run(ask(Teacher(TeacherConfig(**options))))  # type: ignore[arg-type]
    return time.monotonic() - start


def test_a_body_that_drips_for_ever_ends_with_the_request_and_its_connection_is_closed() -> None:
    closed = threading.Event()

    async def blanks() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b" "
                await asyncio.sleep(0.02)
        finally:
            closed.set()

    with answering(lambda _: StreamingResponse(blanks())) as (url, _):
        took = seconds_until(TeacherFailure, r"no answer within 0\.5 s", base_url=url, attempts=0, timeout=0.5)
        assert closed.wait(10)
    assert 0.5 <= took < 10


def test_headers_that_drip_for_ever_end_with_the_request() -> None:
    def drip(_: bytes, write: Callable[[bytes], object]) -> None:
        write(b"HTTP/1.1 200 OK\r\n")
        while True:
            write(b"X-Patience: more\r\n")
            time.sleep(0.05)

    with raw_server(drip) as (port, heads):
        url = f"http://127.0.0.1:{port}/v1"
        took = seconds_until(TeacherUnavailable, "no answer within", base_url=url, attempts=0, timeout=0.5, patience=0)
    assert heads[0].startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
    assert took < 30


def test_a_connection_that_breaks_off_is_a_failure_of_its_request_alone() -> None:
    def break_off(head: bytes, write: Callable[[bytes], object]) -> None:
        write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{")

    with raw_server(break_off) as (port, heads):
        url = f"http://127.0.0.1:{port}/v1"
        seconds_until(TeacherUnavailable, "broke off", base_url=url, attempts=1, patience=0)
    assert sum(head.startswith(b"POST") for head in heads) == 2


def test_a_server_that_is_loading_is_waited_for_by_wait_not_by_patience() -> None:
    took = seconds_until(TeacherUnavailable, r"raise --teacher\.wait", base_url=NOBODY, wait=0.6, patience=3600)
    assert 0.6 <= took < 30


def test_one_that_had_answered_is_waited_for_by_patience() -> None:
    def once(head: bytes, write: Callable[[bytes], object]) -> None:
        body = good().body
        write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + bytes(body))

    async def both() -> None:
        with raw_server(once) as (port, _):
            teacher = Teacher(TeacherConfig(f"http://127.0.0.1:{port}/v1", wait=3600, patience=0.6))
            await ask(teacher, "first")
        start = time.monotonic()
        with pytest.raises(
            TeacherUnavailable, match=r"no answer for [\d]+ s \(no connection: .*\): start it, then run"
        ):
            await ask(teacher, "second")
        assert 0.6 <= time.monotonic() - start < 30

    asyncio.run(both())


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://no-such-name.invalid/v1", "no-such-name.invalid/v1 cannot be reached"),
        ("https://127.0.0.1:{port}/v1", "SSL"),
    ],
)
def test_a_name_without_an_address_and_a_server_without_tls_end_at_once(url: str, reason: str) -> None:
    with answering(lambda _: good()) as (plain, _):
        address = url.format(port=plain.split(":")[2].removesuffix("/v1"))
        assert seconds_until(TeacherUnavailable, reason, base_url=address, wait=3600, patience=3600) < 60


def test_another_endpoint_takes_over_from_a_name_without_an_address() -> None:
    with answering(lambda _: good()) as (url, _):
        teacher = Teacher(TeacherConfig(f"http://no-such-name.invalid/v1,{url}"))
        assert asyncio.run(ask(teacher)) == "counting"


HEADERS: dict[str, tuple[dict[str, str], float | None]] = {
    "seconds": ({"retry-after": "7"}, 7.0),
    "a fraction": ({"retry-after": "1.5"}, 1.5),
    "milliseconds": ({"retry-after-ms": "2500", "retry-after": "60"}, 2.5),
    "milliseconds that are nonsense": ({"retry-after-ms": "soon", "retry-after": "3"}, 3.0),
    "none": ({}, None),
    "nothing": ({"retry-after": ""}, None),
    "0": ({"retry-after": "0"}, LEAST),
    "0 ms": ({"retry-after-ms": "0"}, LEAST),
    "negative": ({"retry-after": "-5"}, None),
    "NaN": ({"retry-after": "nan"}, None),
    "infinity": ({"retry-after": "inf"}, None),
    "a day": ({"retry-after": "86400"}, MOST),
    "words": ({"retry-after": "after the rain"}, None),
    "a date of its clock": (
        {"retry-after": "Fri, 01 Jan 2021 00:00:09 GMT", "date": "Fri, 01 Jan 2021 00:00:00 GMT"},
        9.0,
    ),
    "a date that is past": ({"retry-after": "Fri, 01 Jan 2021 00:00:09 GMT"}, LEAST),
    "a date that never comes": ({"retry-after": "Fri, 99 Jan 2021 00:00:09 GMT"}, None),
}


@pytest.mark.parametrize("case", HEADERS)
def test_retry_after_is_read_in_all_its_forms(case: str) -> None:
    headers, seconds = HEADERS[case]
    assert retry_after(headers) == seconds


def test_a_date_without_a_clock_beside_it_is_of_our_clock() -> None:
    waits = retry_after({"retry-after": format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)})
    assert waits is not None
    assert 50 < waits <= 60


@pytest.mark.parametrize("told", ["0", "nan", "-1"])
def test_an_endpoint_that_asks_for_no_wait_is_not_stormed(told: str) -> None:
    with answering(lambda _: JSONResponse({}, 429, {"Retry-After": told})) as (url, came):
        seconds_until(TeacherUnavailable, "gave no answer", base_url=url, patience=1.1, concurrency=4)
    assert len(came) <= 4
    assert all(after - before >= LEAST for before, after in pairwise(came))


def test_a_server_error_that_says_when_to_come_again_is_left_alone_until_then() -> None:
    with answering(lambda n: JSONResponse({}, 503, {"Retry-After": "1.2"}) if n == 0 else good()) as (url, came):
        assert asyncio.run(ask(Teacher(TeacherConfig(url)))) == "counting"
    assert came[1] - came[0] >= 1.2


def test_an_error_inside_a_200_that_says_429_is_waited_out() -> None:
    busy = {"error": {"code": 429, "message": "Provider returned error"}}
    with answering(lambda n: JSONResponse(busy, 200, {"Retry-After": "0.6"}) if n == 0 else good()) as (url, came):
        teacher = Teacher(TeacherConfig(url, attempts=0))
        assert asyncio.run(ask(teacher)) == "counting"
    assert came[1] - came[0] >= 0.6
