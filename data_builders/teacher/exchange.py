"""One HTTP exchange with an endpoint, within a deadline that nothing outlives."""

import asyncio
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import httpx2

LARGEST_ANSWER, LARGEST_ERROR = 16_000_000, 64_000
"""Bytes that are read of a 200, which may hold no more, and of any other response, which is cut."""
TO_CONNECT = 10.0
IDLE = 2.0
"""Seconds after which a connection is not used again: many servers close theirs after 5, at times under a request's feet."""


@dataclass(frozen=True)
class Response:
    """A response with all of its body, decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Unreached(Exception):
    """There is no connection; `lasting` where waiting does not bring one: a name without an address, a wrong certificate.

    A handshake that the other side broke off is not.
    """

    def __init__(self, reason: str, lasting: bool) -> None:
        super().__init__(reason)
        self.lasting = lasting


class Unanswered(Exception):
    """The request went out, and no whole response came."""


class TooLarge(Exception):
    """The response is larger than any completion."""


def open_client(headers: Mapping[str, str]) -> httpx2.AsyncClient:
    """A client whose only deadline beside that for connecting is the one of each exchange; redirects are not followed."""
    return httpx2.AsyncClient(
        headers=headers,
        timeout=httpx2.Timeout(None, connect=TO_CONNECT),
        limits=httpx2.Limits(max_connections=None, keepalive_expiry=IDLE),
    )


async def exchange(
    client: httpx2.AsyncClient, method: str, url: httpx2.URL, seconds: float, body: bytes | None = None
) -> Response:
    """The response to one request; its connection is closed where it does not end in time.

    Raises `Unreached`, `Unanswered` or `TooLarge`.
    """
    try:
        async with asyncio.timeout(seconds), client.stream(method, url, content=body) as response:
            return await _read(response)
    except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError) as error:
        raise Unreached(_words(error), _lasting(error)) from error
    except TimeoutError as error:
        raise Unanswered(f"no answer within {seconds:g} s") from error
    except httpx2.HTTPError as error:
        raise Unanswered(f"broke off ({_words(error)})") from error


async def _read(response: httpx2.Response) -> Response:
    good = response.status_code == 200
    most, body = LARGEST_ANSWER if good else LARGEST_ERROR, bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > most:
            if good:
                raise TooLarge(f"larger than {most // 10**6} MB")
            break
    return Response(response.status_code, response.headers, bytes(body[:most]))


def _lasting(error: Exception) -> bool:
    broken_off = ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError
    return any(
        isinstance(cause, socket.gaierror | ssl.SSLError) and not isinstance(cause, broken_off)
        for cause in _causes(error)
    )


def _words(error: Exception) -> str:
    """What a chain of errors says: the innermost is the most telling, and some say nothing."""
    return next((str(cause) for cause in reversed(list(_causes(error))) if str(cause)), type(error).__name__)


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
