"""Sends requests to the endpoints, with retries, backoff and failover: one client a process, shared by all of its shards."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from videorouter.data_builders.teacher.attempt import Problem, attempt
from videorouter.data_builders.teacher.concurrency import ConcurrencyLimit
from videorouter.data_builders.teacher.config import TeacherConfig, Usage
from videorouter.data_builders.teacher.endpoints import LONGEST_WAIT, Endpoint, least_busy, open_endpoints
from videorouter.data_builders.teacher.errors import BudgetSpent, TeacherFailure, TeacherStopped, TeacherUnavailable
from videorouter.data_builders.teacher.journal import Answer
from videorouter.data_builders.teacher.request import Request

_log = logging.getLogger(__name__)

Result = TypeVar("Result")

FAILURES_IN_A_ROW = 20
"""Requests that may fail one after another before the endpoint, not the requests, is taken to be at fault."""


@dataclass
class TeacherClient:
    """Sends the requests of one process.

    `admit` is called before each, with what was paid and is not in the ledger yet, and may raise `BudgetSpent`; `answered` says
    whether the endpoints have answered this run before, be it another process of it.
    """

    config: TeacherConfig
    admit: Callable[[Usage], None] = lambda unsettled: None
    answered: bool = False
    concurrency: ConcurrencyLimit = field(init=False)

    def __post_init__(self) -> None:
        """Raises `ValueError` for addresses, keys and headers that cannot be sent."""
        self.concurrency = ConcurrencyLimit(self.config.concurrency)
        self._endpoints = open_endpoints(self.config)
        for endpoint in self._endpoints:
            endpoint.answered = self.answered
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

    async def send(
        self,
        request: Request,
        keep: Callable[[Answer], Awaitable[None]],
        failing_since: Callable[[TeacherFailure], float | None] = lambda failure: None,
    ) -> Answer:
        """The answer to a request, once `keep` has made it durable; until then it counts as spent beside what the ledger says.

        A request that fails is repeated for `patience` seconds where `failing_since` gives a moment, in monotonic seconds, since
        which so many like it have failed that it is doubted to be its own fault.

        Raises `TeacherRefusal`, `TeacherFailure` or `TeacherReplyError` (this item), `TeacherRefuses`, `TeacherUnavailable` or
        `BudgetSpent` (all: every later request raises the first one's reason).
        """
        try:
            return await self._send(request, keep, failing_since)
        except TeacherStopped as stop:
            self._stop = self._stop or stop
            raise

    async def _send(
        self,
        request: Request,
        keep: Callable[[Answer], Awaitable[None]],
        failing_since: Callable[[TeacherFailure], float | None],
    ) -> Answer:
        failures, since, failed = 0, time.monotonic(), 0.0
        while True:
            async with self.concurrency:
                endpoint = await self._available(since)
                if self._stop is not None:
                    raise type(self._stop)(*self._stop.args)
                await self._admit()
                outcome = await attempt(endpoint, request, self.config.timeout)
                self._learn(outcome)
            if isinstance(outcome, Answer):
                return await self._settle(outcome, keep)
            _log.info("%s: %s", endpoint.name, outcome.text)
            wait = outcome.wait
            if outcome.counts:
                failures += 1
                failed = failed or time.monotonic()
                wait = max(wait, min(LONGEST_WAIT, 0.25 * 2**failures))
                if failures > self.config.attempts and await self._is_there(endpoint, failed):
                    self._give_up_on_request(outcome, failures, since, failing_since)
            if endpoint.refusal is None and (not outcome.counts or failures > self.config.attempts):
                self._check_patience(since, outcome)
            await asyncio.sleep(wait)

    def _learn(self, outcome: Answer | Problem) -> None:
        """How many requests the endpoint takes, and that it answers."""
        if isinstance(outcome, Answer):
            self._last_answer = time.monotonic()
            self._failed_in_a_row = 0
            self.concurrency.answered()
        elif outcome.too_many is not None:
            self.concurrency.too_many(outcome.too_many)

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

    async def _available(self, since: float) -> Endpoint:
        """The endpoint to ask. Waits while none is available."""
        while True:
            found = least_busy(self._endpoints)
            if isinstance(found, Endpoint):
                return found
            self._check_patience(since, Problem(self._endpoints[0].trouble, unreached=True))
            await asyncio.sleep(found)

    async def _is_there(self, endpoint: Endpoint, since: float) -> bool:
        """Whether there were answers after the moment `since`, or the endpoint says that it is there."""
        return self._last_answer > since or await endpoint.is_there(self.config.timeout)

    def _give_up_on_request(
        self, problem: Problem, failures: int, since: float, failing_since: Callable[[TeacherFailure], float | None]
    ) -> None:
        """Raise `TeacherFailure` where it is this request that fails, of an endpoint that is there; else let it wait.

        In doubt of that it waits, too, as long as there is patience: then all requests like it fail, or all of any kind.
        """
        self._failed_in_a_row += 1
        failure = TeacherFailure(f"the teacher failed {failures} times on this request: {problem.text}")
        alike_since = failing_since(failure)
        if alike_since is None and self._failed_in_a_row > FAILURES_IN_A_ROW:
            return
        if alike_since is not None:
            if time.monotonic() - since < self.config.patience:
                return
            if self._last_answer < alike_since:
                self._check_patience(since, problem)
            failure.conclusive = True
        raise failure

    def _check_patience(self, since: float, problem: Problem) -> None:
        """Raise `TeacherUnavailable` once it took too long: for connections, `wait` where nothing has answered yet."""
        loading = problem.unreached and not any(endpoint.answered for endpoint in self._endpoints)
        waited = time.monotonic() - max(self._last_answer, since)
        if waited >= (self.config.wait if loading else self.config.patience):
            longer = "; where it takes longer to load its model, raise --teacher.wait" if loading else ""
            start = "start it, then" if problem.unreached else "once it answers again,"
            raise TeacherUnavailable(
                f"the teacher at {', '.join(endpoint.name for endpoint in self._endpoints)} gave no answer for {waited:.0f} s "
                f"({problem.text}): {start} run the same command again{longer}; what is paid is kept"
            )
