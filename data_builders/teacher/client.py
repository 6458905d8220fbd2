"""Sends requests to the endpoints, with retries, backoff and failover: one client a process, shared by all of its shards."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from videorouter.data_builders.teacher.complaints import Complaint, complaint
from videorouter.data_builders.teacher.completion import decoded, read_completion
from videorouter.data_builders.teacher.concurrency import ConcurrencyLimit
from videorouter.data_builders.teacher.config import TeacherConfig, Usage
from videorouter.data_builders.teacher.endpoints import LONGEST_WAIT, Endpoint, least_busy, open_endpoints
from videorouter.data_builders.teacher.errors import (
    BudgetSpent,
    TeacherFailure,
    TeacherRefusal,
    TeacherRefuses,
    TeacherReplyError,
    TeacherStopped,
    TeacherUnavailable,
)
from videorouter.data_builders.teacher.exchange import Response, TooLarge, Unanswered, Unreached
from videorouter.data_builders.teacher.journal import Answer
from videorouter.data_builders.teacher.refusals import shape_of
from videorouter.data_builders.teacher.request import Request
from videorouter.data_builders.teacher.retry_after import USUAL, retry_after

_log = logging.getLogger(__name__)

Result = TypeVar("Result")

FAILURES_IN_A_ROW = 20
"""Requests that may fail one after another before the endpoint, not the requests, is taken to be at fault."""
OF_THE_RUN = {
    301: "give the address that it redirects to as --teacher.base_url",
    401: "check the key in the variable that --teacher.key_variable names",
    402: "check the account of the key: it has no money or quota left",
    404: "check --teacher.base_url, which ends before /chat/completions, and --teacher.model",
}
"""What to do about the statuses that no item is the reason of."""


@dataclass(frozen=True)
class _Problem:
    """An attempt that gave no answer: how long to wait, and whether it counts as a failure of the request."""

    text: str
    shape: str = ""
    wait: float = 0.0
    counts: bool = False
    unreached: bool = False


@dataclass
class TeacherClient:
    """Sends the requests of one process.

    `admit` is called before each, with what was paid and is not in the ledger yet, and may raise `BudgetSpent`.
    """

    config: TeacherConfig
    admit: Callable[[Usage], None] = lambda unsettled: None
    concurrency: ConcurrencyLimit = field(init=False)

    def __post_init__(self) -> None:
        """Raises `ValueError` for addresses, keys and headers that cannot be sent."""
        self.concurrency = ConcurrencyLimit(self.config.concurrency)
        self._endpoints = open_endpoints(self.config)
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
            await asyncio.gather(*(endpoint.client.aclose() for endpoint in self._endpoints))

    async def send(self, request: Request, keep: Callable[[Answer], Awaitable[None]]) -> Answer:
        """The answer to a request, once `keep` has made it durable; until then it counts as spent beside what the ledger says.

        Raises `TeacherRefusal`, `TeacherFailure` or `TeacherReplyError` (this item), `TeacherRefuses`, `TeacherUnavailable` or
        `BudgetSpent` (all: every later request raises the first one's reason).
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
                endpoint = await self._available(since)
                if self._stop is not None:
                    raise type(self._stop)(*self._stop.args)
                await self._admit()
                outcome = await self._try(endpoint, request)
            if isinstance(outcome, Answer):
                return await self._settle(outcome, keep)
            _log.info("%s: %s", endpoint.name, outcome.text)
            wait = outcome.wait
            if outcome.counts:
                failures += 1
                wait = max(wait, min(LONGEST_WAIT, 0.25 * 2**failures))
                if failures > self.config.attempts:
                    await self._give_up_on_request(endpoint, outcome)
            if endpoint.refusal is None and (not outcome.counts or failures > self.config.attempts):
                self._check_patience(since, outcome)
            await asyncio.sleep(wait)

    async def _settle(self, answer: Answer, keep: Callable[[Answer], Awaitable[None]]) -> Answer:
        self._unsettled += answer.usage
        try:
            await keep(answer)
        finally:
            self._unsettled += -answer.usage
        return answer

    async def _admit(self) -> None:
        """As `admit`. An answer that is being settled may be counted twice for a moment: a cap is reached when none is."""
        while True:
            try:
                return self.admit(self._unsettled)
            except BudgetSpent:
                if self._unsettled.requests == 0:
                    raise
            await asyncio.sleep(0.005)

    async def _try(self, endpoint: Endpoint, request: Request) -> Answer | _Problem:
        """One attempt. Raises `TeacherRefusal` or `TeacherReplyError`."""
        body = json.dumps(request.body(), separators=(",", ":")).encode()
        try:
            response = await endpoint.complete(body, self.config.timeout)
            read = _read(request, response)
        except Unreached as error:
            endpoint.leave_alone()
            problem = f"no connection: {endpoint.hide(str(error))}"
            if error.lasting and not endpoint.answered:
                endpoint.refusal = TeacherUnavailable(f"the teacher at {endpoint.name} cannot be reached: {problem}")
            return _Problem(problem, unreached=True)
        except Unanswered as error:
            return _Problem(endpoint.hide(str(error)), shape_of(None, None, str(error)), counts=True)
        except TooLarge as error:
            raise TeacherReplyError(
                f"the teacher's response is no chat completion: {error}", "", "too large"
            ) from error
        except TeacherReplyError as error:
            raise TeacherReplyError(endpoint.hide(str(error)), endpoint.hide(error.raw), error.shape) from error
        if isinstance(read, Complaint):
            return self._complained(endpoint, read, response.headers)
        self._last_answer = time.monotonic()
        self._failed_in_a_row = 0
        self.concurrency.answered()
        return read

    def _complained(self, endpoint: Endpoint, told: Complaint, headers: Mapping[str, str]) -> _Problem:
        """What to do about an error. Raises `TeacherRefusal`."""
        words, wait = endpoint.hide(str(told)), retry_after(headers)
        if told.status == 429 and not told.no_money:
            wait = USUAL if wait is None else wait
            self.concurrency.too_many(wait)
            return _Problem(words, told.shape)
        if told.status >= 500 or told.status in (408, 409, 425):
            return _Problem(words, told.shape, wait or 0.0, counts=True)
        status = 402 if told.no_money else 301 if told.status < 400 else told.status
        if status in OF_THE_RUN:
            endpoint.refusal = TeacherRefuses(
                f"the teacher at {endpoint.name} refused: {words}: {OF_THE_RUN[status]}, then run the same command again"
            )
            return _Problem(words)
        raise TeacherRefusal(
            f"the teacher refused the request: {words}",
            endpoint.hide(told.body),
            told.shape,
            moderation=told.moderation,
        )

    async def _available(self, since: float) -> Endpoint:
        """The endpoint to ask. Waits while none is available."""
        while True:
            found = least_busy(self._endpoints)
            if isinstance(found, Endpoint):
                return found
            self._check_patience(since, _Problem("no connection", unreached=True))
            await asyncio.sleep(found)

    async def _give_up_on_request(self, endpoint: Endpoint, problem: _Problem) -> None:
        """Raise `TeacherFailure` where the endpoint is available and it is this request that fails; else let it wait."""
        self._failed_in_a_row += 1
        if await endpoint.is_there() and self._failed_in_a_row <= FAILURES_IN_A_ROW:
            times = f"the teacher failed {self.config.attempts + 1} times on this request"
            raise TeacherFailure(f"{times}: {problem.text}", "", problem.shape or None)

    def _check_patience(self, since: float, problem: _Problem) -> None:
        """Raise `TeacherUnavailable` once it took too long: for connections, `wait` where nothing has answered yet."""
        loading = problem.unreached and not any(endpoint.answered for endpoint in self._endpoints)
        waited = time.monotonic() - max(self._last_answer, since)
        if waited >= (self.config.wait if loading else self.config.patience):
            longer = "; where it takes longer to load its model, raise --teacher.wait" if loading else ""
            raise TeacherUnavailable(
                f"the teacher at {', '.join(endpoint.name for endpoint in self._endpoints)} gave no answer for {waited:.0f} s "
                f"({problem.text}): start it, then run the same command again{longer}; what is paid is kept"
            )


def _read(request: Request, response: Response) -> Answer | Complaint:
    if 200 <= response.status < 300:
        return read_completion(request, response.body)
    return complaint(response.status, decoded(response.body), response.headers.get("location", ""))
