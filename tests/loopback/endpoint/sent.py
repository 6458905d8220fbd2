"""What an endpoint sends: a script of bytes and pauses, and how the connection ends; and the usual ways to write one."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal

PHRASES = {status.value: status.phrase for status in HTTPStatus}
Ending = Literal["keep", "close", "reset"]


@dataclass(frozen=True)
class Sent:
    """`pieces` are bytes to write and seconds to wait, in turn. `good`: who reads all of it has an answer that was paid for."""

    pieces: Iterable[bytes | float]
    ending: Ending = "keep"
    good: bool = False


def response(
    body: bytes,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    *,
    content_type: str = "application/json",
    length: int | None = None,
    ending: Ending = "keep",
    good: bool = False,
) -> Sent:
    """A whole response; `length` is what its head says of the body, where that shall differ."""
    head = [f"Content-Type: {content_type}", f"Content-Length: {len(body) if length is None else length}"]
    return raw([*head, *(f"{name}: {value}" for name, value in (headers or {}).items())], [body], status, ending, good)


def raw(
    headers: Iterable[str],
    pieces: Iterable[bytes | float],
    status: int = 200,
    ending: Ending = "keep",
    good: bool = False,
) -> Sent:
    """A response of header lines as given, and a body piece by piece."""
    return Sent(_after(head(status, headers), pieces), ending, good)


def head(status: int, headers: Iterable[str]) -> bytes:
    """The status line and header lines."""
    phrase = PHRASES.get(status, "Unknown")
    return "\r\n".join([f"HTTP/1.1 {status} {phrase}", *headers, "", ""]).encode("latin-1")


def told(value: Any, status: int = 200, headers: Mapping[str, str] | None = None, *, good: bool = False) -> Sent:
    """A value as JSON."""
    return response(json.dumps(value).encode(), status, headers, good=good)


def error(status: int, message: str, code: Any = None, headers: Mapping[str, str] | None = None, **more: Any) -> Sent:
    """An error as OpenAI words it."""
    return told({"error": {"message": message, "type": "error", "param": None, "code": code} | more}, status, headers)


def _after(first: bytes, pieces: Iterable[bytes | float]) -> Iterable[bytes | float]:
    yield first
    yield from pieces
