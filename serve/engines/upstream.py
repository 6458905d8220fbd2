"""A server of OpenAI's interface behind ours: events and answers of it, and its errors as ours."""

import asyncio
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Final

import httpx2

from videorouter.serve.config import UPSTREAM_KEY
from videorouter.serve.errors import RequestError, Unreachable

IDLE: Final = 2.0
"""Seconds after which a connection is not used again: uvicorn, and so vLLM, closes after 5, at times under a request's feet."""


class UpstreamRefusal(RequestError):
    """The upstream's own error, passed on with its status and words."""

    def __init__(self, status: int, error: dict[str, Any], retry_after: str | None = None) -> None:
        super().__init__(str(error.get("message", "the upstream refused the request")))
        self.status, self._error, self._retry_after = status, error, retry_after  # type: ignore[misc]

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": self._retry_after} if self._retry_after else {}

    def body(self) -> dict[str, Any]:
        usual = {"message": self.message, "type": "upstream_error", "param": None, "code": None}
        return {"error": usual | self._error}


class Upstream:
    """The server at `address`, up to /v1, and the model that it is asked for."""

    def __init__(self, address: str, model: str | None, patience: float = 600.0) -> None:
        """`model` is found out by `find_model` where null; `patience` in seconds between two signs of life."""
        self.address = address.rstrip("/")
        self._model, self._patience = model, patience
        key = os.environ.get(UPSTREAM_KEY) or os.environ.get("OPENAI_API_KEY")
        self._client = httpx2.AsyncClient(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx2.Timeout(patience, connect=min(10.0, patience)),
            limits=httpx2.Limits(max_connections=None, keepalive_expiry=IDLE),
            trust_env=False,
            follow_redirects=False,
        )

    @property
    def model(self) -> str:
        """The name that the model is served under."""
        assert self._model is not None, "find_model comes first"
        return self._model

    async def find_model(self) -> None:
        """Check the model's name, or take the only one there is. Raises `Unreachable`, `ValueError` where it is not clear."""
        names = await self._served()
        if self._model is None and len(names) != 1:
            raise ValueError(f"{self.address} serves {', '.join(names) or 'no model'}: say which with --upstream_model")
        if self._model is not None and names and self._model not in names:
            raise ValueError(f"{self.address} does not serve {self._model!r}, but {', '.join(names)}")
        self._model = self._model or names[0]

    async def healthy(self) -> bool:
        """Whether it answers at all."""
        try:
            async with asyncio.timeout(5), self._asking("GET", "models", None) as response:
                await response.aread()
        except (RequestError, TimeoutError):
            return False
        return True

    async def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The JSON that it answers `body` with, choices in it. Raises `UpstreamRefusal`, `Unreachable`."""
        async with self._asking("POST", path, body) as response:
            try:
                found = json.loads(await response.aread())
            except ValueError as error:
                raise Unreachable(f"the upstream at {self.address} answered something that is not JSON") from error
        if not self._choices_of(found):
            raise Unreachable(f"the upstream at {self.address} answered without choices: {_short(found)}")
        made: dict[str, Any] = found
        return made

    async def events(self, path: str, body: dict[str, Any] | bytes) -> AsyncGenerator[dict[str, Any]]:
        """The events that it streams, up to [DONE], choices in one of them; closed early, the request is taken back.

        An empty one comes first, once the request was accepted: what refuses it is raised before.

        `body` may be JSON that is written already. Raises as `answer`.
        """
        ended = answered = False
        async with self._asking("POST", path, body) as response:
            yield {}
            async for event in httpx2.EventSource(response):
                if event.data == "[DONE]":
                    ended = True
                    break
                try:
                    chunk = json.loads(event.data)
                except ValueError as error:
                    raise Unreachable(f"the upstream at {self.address} streamed something that is not JSON") from error
                if isinstance(chunk, dict) and isinstance(chunk.get("error"), dict):
                    code = chunk["error"].get("code")
                    raise UpstreamRefusal(code if isinstance(code, int) and code >= 400 else 502, chunk["error"])
                answered = self._choices_of(chunk) or answered
                yield chunk
        if not ended:
            raise Unreachable(f"the upstream at {self.address} broke off in the middle of an answer")
        if not answered:
            raise Unreachable(f"the upstream at {self.address} streamed an answer without choices")

    async def close(self) -> None:
        """End its connections."""
        await self._client.aclose()

    async def _served(self) -> list[str]:
        """The names of its models."""
        found: Exception
        try:
            async with self._asking("GET", "models", None) as response:
                listed = json.loads(await response.aread())
            return [str(one["id"]) for one in listed["data"]]
        except UpstreamRefusal as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            found = error
        except (LookupError, TypeError, ValueError) as error:
            if isinstance(error, RequestError):
                raise
            found = error
        raise ValueError(
            f"{self.address} lists no models at {self.address}/models: give the address up to /v1, "
            "such as http://127.0.0.1:8000/v1"
        ) from found

    def _choices_of(self, found: Any) -> bool:
        """Whether there are choices in an answer, or in a chunk of one. Raises `Unreachable` for what is neither."""
        choices = (found.get("choices") or []) if isinstance(found, dict) else None
        if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
            raise Unreachable(f"the upstream at {self.address} answered no chat completion: {_short(found)}")
        return bool(choices)

    @asynccontextmanager
    async def _asking(
        self, method: str, path: str, body: dict[str, Any] | bytes | None
    ) -> AsyncIterator[httpx2.Response]:
        sent: dict[str, Any] = {"json": body}
        if isinstance(body, bytes):
            sent = {"content": body, "headers": {"Content-Type": "application/json"}}
        try:
            async with self._client.stream(method, f"{self.address}/{path}", **sent) as response:
                if response.status_code >= 400:
                    raise _refusal(response, await response.aread())
                if response.status_code != HTTPStatus.OK:
                    raise Unreachable(f"the upstream at {self.address} answered {_instead(response)}")
                yield response
        except httpx2.TimeoutException as error:
            raise Unreachable(
                f"the upstream at {self.address} did not answer in time: --upstream_patience waits {self._patience:g} s"
            ) from error
        except httpx2.HTTPError as error:
            raise Unreachable(f"the upstream at {self.address} is unavailable, or broke off: {error!r}") from error


def _instead(response: httpx2.Response) -> str:
    """What came in place of an answer; where to ask, if that is said."""
    if response.next_request is None:
        return f"{response.status_code}, which holds no answer"
    target = response.next_request.url
    told = f"{target.scheme}://{target.netloc.decode()}"  # of userinfo, and of what a query may hold, nothing
    return f"{response.status_code}, a redirect to {told}: give that address, up to /v1, as --upstream"


def _short(found: Any) -> str:
    """The beginning of what was read."""
    return json.dumps(found)[:200]


def _refusal(response: httpx2.Response, said: bytes) -> UpstreamRefusal:
    try:
        told = json.loads(said)
        error = told["error"] if isinstance(told.get("error"), dict) else told
        if not isinstance(error, dict) or not error.get("message"):
            raise TypeError
    except (ValueError, TypeError, AttributeError, KeyError):
        error = {"message": f"the upstream refused: {said[:500].decode(errors='replace')}"}
    return UpstreamRefusal(response.status_code, error, response.headers.get("Retry-After"))
