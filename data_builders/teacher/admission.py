"""How many requests are in flight: as many as the endpoint bears. A 429 halves the number, answers raise it again (ours)."""

import asyncio
import time
from collections import deque


class Admission:
    """Lets requests in, first come first served, at most `limit` at a time; use as `async with`."""

    def __init__(self, most: int) -> None:
        """Raises `ValueError` for a number below 1."""
        if most < 1:
            raise ValueError(f"concurrency must be at least 1, not {most}")
        self.most = most
        self.limit = float(most)
        self.inside = 0
        self._closed_until = 0.0
        self._last_cut = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __aenter__(self) -> None:
        if not self._waiting and self._free():
            self.inside += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # the place was given to it already
                self.inside -= 1
            self._call_next()
            raise

    async def __aexit__(self, *_: object) -> None:
        self.inside -= 1
        self._call_next()

    def answered(self) -> None:
        """An answer came: one more request is let in for every round of answers."""
        self.limit = min(self.most, self.limit + 1 / self.limit)

    def too_many(self, seconds: float) -> None:
        """The endpoint said 429: close for `seconds`, then let in half as many. Refusals of one moment count once."""
        now = time.monotonic()
        self._closed_until = max(self._closed_until, now + seconds)
        if now - self._last_cut > seconds:
            self.limit = max(1.0, self.limit / 2)
            self._last_cut = now
        asyncio.get_running_loop().call_later(seconds + 0.001, self._call_next)

    def _free(self) -> bool:
        return self.inside < int(self.limit) and time.monotonic() >= self._closed_until

    def _call_next(self) -> None:
        """Give free places to those who wait, in their order."""
        while self._waiting and self._free():
            turn = self._waiting.popleft()
            if not turn.done():
                self.inside += 1
                turn.set_result(None)
