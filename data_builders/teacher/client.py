"""Sends requests to the endpoints, with retries, backoff and failover: one client a process, shared by all of its shards."""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from videorouter.data_builders.teacher.concurrency import ConcurrencyLimit
from videorouter.data_builders.teacher.config import TeacherConfig, Usage
from videorouter.data_builders.teacher.errors import (
    BudgetSpent,
    TeacherFailure,
    TeacherRefusal,
    TeacherReplyError,
    TeacherStopped,
    TeacherUnavailable,
)
from videorouter.data_builders.teacher.journal import Answer
from videorouter.data_builders.teacher.request import Request

_log = logging.getLogger(__name__)

Result = TypeVar("Result")

OF_ONE_REQUEST = (400, 413, 422)
"""HTTP statuses that are about the request; all others are about the endpoint."""
LONGEST_WAIT = 30.0
FAILURES_IN_A_ROW = 20
"""Requests that may fail one after another before the endpoint, not the requests, is taken to be at fault."""
CHARACTERS_A_TOKEN, TOKENS_AN_IMAGE = 4, 256
"""For endpoints that do not count tokens themselves."""


@dataclass
class Endpoint:
    """One address; `unavailable_until` (monotonic seconds) after it did not answer, `refusal` once it refused for good."""

    url: str
    client: Any
    in_flight: int = 0
    unavailable_until: float = 0.0
    refusal: str | None = None


@dataclass
class TeacherClient:
    """Sends the requests of one process.

    `admit` is called before each, with what was paid and is not in the ledger yet, and may raise `BudgetSpent`.
    """

    config: TeacherConfig
    admit: Callable[[Usage], None] = lambda unsettled: None
    concurrency: ConcurrencyLimit = field(init=False)

    def __post_init__(self) -> None:
        self.concurrency = ConcurrencyLimit(self.config.concurrency)
        self._endpoints = _endpoints(self.config)
        self._last_answer = time.monotonic()
        self._failed_in_a_row = 0
        self._stop: TeacherStopped | None = None
        self._unsettled = Usage()

    def close(self, reason: TeacherStopped | None = None) -> None:
        """Start no further request, for the first `reason` that is given; those in flight go on to their end."""
        self._stop = self._stop or reason or TeacherUnavailable("the run is stopping")

    async def run(self, work: Awaitable[Result]) -> Result:
        """Await work that sends requests, then close the connections: they belong to the event loop."""
        try:
            return await work
        finally:
            await asyncio.gather(*(endpoint.client.close() for endpoint in self._endpoints))

    async def send(self, request: Request, keep: Callable[[Answer], Awaitable[None]]) -> Answer:
        """The answer to a request, once `keep` has made it durable; until then it counts as spent beside what the ledger says.

        Raises `TeacherRefusal`, `TeacherFailure` or `TeacherReplyError` (this item), `TeacherUnavailable` or `BudgetSpent`
        (all: every later request raises the first one's reason).
        """
        try:
            return await self._send(request, keep)
        except TeacherStopped as stop:
            self._stop = self._stop or stop
            raise

    async def _send(self, request: Request, keep: Callable[[Answer], Awaitable[None]]) -> Answer:
        failures, since = 0, time.monotonic()
        while True:
            async with self.concurrency:
                endpoint = await self._least_busy(since)
                if self._stop is not None:
                    raise type(self._stop)(*self._stop.args)
                await self._admit()
                problem, wait = await self._try(endpoint, request)
            if isinstance(problem, Answer):
                self._unsettled += problem.usage
                try:
                    await keep(problem)
                finally:
                    self._unsettled += -problem.usage
                return problem
            _log.info("%s: %s", endpoint.url, problem)
            if wait is None:
                failures += 1
                wait = min(LONGEST_WAIT, 0.25 * 2**failures)
                if failures > self.config.attempts:
                    await self._give_up_on_request(endpoint, problem)
                    self._check_patience(since, problem)
            elif endpoint.refusal is None:
                self._check_patience(since, problem)
            await asyncio.sleep(wait)

    async def _admit(self) -> None:
        """As `admit`. An answer that is being settled may be counted twice for a moment: a cap is reached when none is."""
        while True:
            try:
                return self.admit(self._unsettled)
            except BudgetSpent:
                if self._unsettled.requests == 0:
                    raise
            await asyncio.sleep(0.005)

    async def _try(self, endpoint: Endpoint, request: Request) -> tuple[Answer | str, float | None]:
        """One attempt: the answer, or what was wrong and the seconds to wait (None: it counts as a failure of the request)."""
        from openai import APIConnectionError, APIStatusError, APITimeoutError
        from openai.types.chat import ChatCompletion

        endpoint.in_flight += 1
        try:
            # Not `chat.completions.create`: that walks through every message to transform it, 10 ms for 32 frames.
            completion = await endpoint.client.post("/chat/completions", body=request.body(), cast_to=ChatCompletion)
        except APITimeoutError:
            return f"no answer within {self.config.timeout:g} s", None
        except APIConnectionError as error:
            wait = min(LONGEST_WAIT, max(0.5, self.config.patience / 20))
            endpoint.unavailable_until = time.monotonic() + wait
            return f"does not answer ({error})", 0.0
        except APIStatusError as error:
            return self._status(endpoint, error)
        except ValueError as error:  # a body that is no JSON
            raise TeacherReplyError(f"the teacher's response is no chat completion: {error}", "") from error
        finally:
            endpoint.in_flight -= 1
        answer = _read(request, completion)
        self._last_answer = time.monotonic()
        self._failed_in_a_row = 0
        self.concurrency.answered()
        return answer, 0.0

    def _status(self, endpoint: Endpoint, error: Any) -> tuple[str, float | None]:
        status, problem = error.status_code, f"HTTP {error.status_code} {error.message}"
        if status in OF_ONE_REQUEST:
            raise TeacherRefusal(f"the teacher refused the request: {problem}", error.response.text) from error
        if status == 429 and "insufficient_quota" not in error.response.text:
            seconds = _retry_after(error.response.headers)
            self.concurrency.too_many(seconds)
            return problem, 0.0
        if status >= 500 or status in (408, 409):
            return problem, None
        endpoint.refusal = problem
        return problem, 0.0

    async def _least_busy(self, since: float) -> Endpoint:
        """The endpoint to ask: available, and with the fewest requests in flight. Waits while none is available."""
        while True:
            usable = [endpoint for endpoint in self._endpoints if endpoint.refusal is None]
            if not usable:
                refusals = "; ".join(f"{endpoint.url} refused: {endpoint.refusal}" for endpoint in self._endpoints)
                raise TeacherUnavailable(
                    f"the teacher at {refusals}: check model name, key and limits, then run the same command again; "
                    "what is paid is kept"
                )
            now = time.monotonic()
            available = [endpoint for endpoint in usable if endpoint.unavailable_until <= now]
            if available:
                return min(available, key=lambda endpoint: endpoint.in_flight)
            self._check_patience(since, "does not answer")
            await asyncio.sleep(min(endpoint.unavailable_until for endpoint in usable) - now)

    async def _give_up_on_request(self, endpoint: Endpoint, problem: str) -> None:
        """Raise `TeacherFailure` where the endpoint is available and it is this request that fails; else let it wait."""
        self._failed_in_a_row += 1
        try:
            response = await endpoint.client.models.with_raw_response.list()
            available = response.status_code < 500
        except Exception as error:
            available = getattr(error, "status_code", 500) < 500
        if available and self._failed_in_a_row <= FAILURES_IN_A_ROW:
            raise TeacherFailure(f"the teacher failed {self.config.attempts + 1} times on this request: {problem}", "")

    def _check_patience(self, since: float, problem: str) -> None:
        waited = time.monotonic() - max(self._last_answer, since)
        if waited >= self.config.patience:
            urls = ", ".join(endpoint.url for endpoint in self._endpoints)
            raise TeacherUnavailable(
                f"the teacher at {urls} gave no answer for {waited:.0f} s ({problem}): start it, then run the same command "
                "again; what is paid is kept"
            )


def _endpoints(config: TeacherConfig) -> list[Endpoint]:
    from openai import AsyncOpenAI

    urls = [url.strip() for url in config.base_url.split(",") if url.strip()]
    variables = [name.strip() for name in config.key_variable.split(",")]
    if len(variables) not in (1, len(urls)):
        raise ValueError(f"{len(variables)} key variables for {len(urls)} endpoints: give one, or one each")
    keys = [os.environ.get(name) or "none" for name in variables * (len(urls) if len(variables) == 1 else 1)]
    return [
        Endpoint(url, AsyncOpenAI(base_url=url, api_key=key, timeout=config.timeout, max_retries=0))
        for url, key in zip(urls, keys, strict=True)
    ]


def _retry_after(headers: Any) -> float:
    """Seconds that an endpoint asks to wait; 1 where it does not say."""
    try:
        return min(LONGEST_WAIT * 4, max(0.0, float(headers.get("retry-after") or 1.0)))
    except ValueError:  # a date: rare, and its clock is not ours
        return 5.0


def _read(request: Request, completion: Any) -> Answer:
    try:
        raw = completion.choices[0].message.content or ""
        usage, images = completion.usage, len(request.pictures)
        if usage:
            cost = Usage(1, images, usage.prompt_tokens, usage.completion_tokens)
        else:
            tokens_in = len(request.text) // CHARACTERS_A_TOKEN + TOKENS_AN_IMAGE * images
            cost = Usage(1, images, tokens_in, len(raw) // CHARACTERS_A_TOKEN, 1)
    except (AttributeError, IndexError, TypeError) as error:  # the client does not check what an endpoint sends
        raise TeacherReplyError("the teacher's response is no chat completion", str(completion)[:2000]) from error
    return Answer(request.model, raw, cost)
