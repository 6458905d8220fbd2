"""One way in which an endpoint misbehaves, and what a build under it may come to."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.loopback.endpoint.asked import Asked, Where, always
from tests.loopback.endpoint.sent import Sent

Completion = dict[str, Any]
Behaviour = Callable[[Asked, Completion], Sent | None]
"""What is sent in place of the good completion; None sends the good one after all."""

FINE, ASIDE, AWAY, REFUSED = 0, 3, 4, 6
"""Exit codes of a build: everything labelled, some put aside, the endpoint unavailable, all refused."""


@dataclass(frozen=True)
class Mode:
    """A fault by name.

    `told` says it in a line; `codes` are the exit codes a build under it may end with; `where` says which requests meet it;
    `everywhere` extends it to every other path; for `down_seconds` from its beginning nobody listens. `impatient` builds wait
    for a second, as the fault would keep them waiting for ever. `necessity` asks builds for the request with the most pictures, and
    for the one without any. What is `reworded` is said in other words: labels are the same, reasons are not.
    """

    name: str
    told: str
    codes: frozenset[int]
    behave: Behaviour
    where: Where = always
    everywhere: bool = False
    down_seconds: float = 0.0
    impatient: bool = False
    necessity: bool = False
    reworded: bool = False


def mode(
    name: str, told: str, codes: int | tuple[int, ...], behave: Behaviour, where: Where = always, **more: Any
) -> Mode:
    """A mode with one code or several; builds are impatient where the endpoint may be away."""
    ends = frozenset([codes] if isinstance(codes, int) else codes)
    return Mode(name, told, ends, behave, where, **{"impatient": AWAY in ends} | more)


def sends(sent: Callable[[], Sent]) -> Behaviour:
    """The same to every request."""
    return lambda asked, good: sent()
