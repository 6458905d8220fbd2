"""Limits on concurrency: of requests in flight, adapted to what the endpoint allows, and of items worked on at a time."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from videorouter.data_builders.teacher.errors import TeacherReplyError

Item = TypeVar("Item")
Result = TypeVar("Result")


class ConcurrencyLimit:
    """Admits requests, first come first served, at most `limit` at a time; use as `async with`.

    A 429 halves the limit, answers raise it again, up to `most` (ours).
    """

    def __init__(self, most: int) -> None:
        """Raises `ValueError` for a number below 1."""
        if most < 1:
            raise ValueError(f"concurrency must be at least 1, not {most}")
        self.most = most
        self.limit = float(most)
        self.in_flight = 0
        self._closed_until = 0.0
        self._last_cut = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __aenter__(self) -> None:
        if not self._waiting and self._may_admit():
            self.in_flight += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was admitted already
                self.in_flight -= 1
            self._admit_waiting()
            raise

    async def __aexit__(self, *_: object) -> None:
        self.in_flight -= 1
        self._admit_waiting()

    def answered(self) -> None:
        """An answer came: the limit rises by one for every round of answers."""
        self.limit = min(self.most, self.limit + 1 / self.limit)

    def too_many(self, seconds: float) -> None:
        """The endpoint said 429: admit none for `seconds`, then half as many. Refusals of one moment count once."""
        now = time.monotonic()
        self._closed_until = max(self._closed_until, now + seconds)
        if now - self._last_cut > seconds:
            self.limit = max(1.0, self.limit / 2)
            self._last_cut = now
        asyncio.get_running_loop().call_later(seconds + 0.001, self._admit_waiting)

    def _may_admit(self) -> bool:
        return self.in_flight < int(self.limit) and time.monotonic() >= self._closed_until

    def _admit_waiting(self) -> None:
        """Admit those who wait, in their order, while the limit allows."""
        while self._waiting and self._may_admit():
            turn = self._waiting.popleft()
            if not turn.done():
                self.in_flight += 1
                turn.set_result(None)


async def all_answered(asking: Iterable[Awaitable[Result]]) -> list[Result]:
    """What all of one item's requests came to, once all have ended: none goes on behind the item's back.

    Raises the first error that is more than a bad reply, or else the first bad reply's, with the journal's keys of all of them.
    """
    ended = await asyncio.gather(*asking, return_exceptions=True)
    errors = [one for one in ended if isinstance(one, BaseException)]
    bad = [error for error in errors if isinstance(error, TeacherReplyError)]
    for error in errors:
        if error not in bad:
            raise error
    if bad:
        bad[0].keys = tuple(dict.fromkeys(key for error in bad for key in error.keys))
        raise bad[0]
    return [one for one in ended if not isinstance(one, BaseException)]


async def map_concurrently(
    work: Callable[[Item], Awaitable[Result]], items: Sequence[Item], at_once: int, finished: Callable[[Item], None]
) -> list[Result]:
    """`work` on every item, at most `at_once` at a time; results in the order of the items.

    So what each item holds (a video's frames) is in memory a few times only. `finished` is called after each item. The first
    exception cancels all others and is raised.
    """
    results: dict[int, Result] = {}
    left = iter(enumerate(items))

    async def work_through() -> None:
        for position, item in left:
            results[position] = await work(item)
            finished(item)

    workers = [asyncio.create_task(work_through()) for _ in range(min(at_once, len(items)))]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
    return [results[position] for position in range(len(items))]
