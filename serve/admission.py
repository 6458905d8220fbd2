"""How many requests are let in: one more is told when to come again (ours)."""

import time


class Admission:
    """At most `most` requests in work and waiting."""

    def __init__(self, most: int) -> None:
        self.most, self.within = most, 0
        self._usual = 1.0

    def full(self) -> int | None:
        """Seconds after which to come again, where there is no room: what an answer usually takes, its waiting included."""
        return None if self.within < self.most else max(1, round(self._usual))

    def enter(self) -> float:
        """Take a place; gives the time."""
        self.within += 1
        return time.monotonic()

    def leave(self, entered: float) -> None:
        """Give the place back."""
        self.within -= 1
        self._usual += 0.2 * (time.monotonic() - entered - self._usual)
