"""What some work needs of the teacher: every request once, counted for the item that made it first."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from videorouter.data_builders.teacher.config import Usage
from videorouter.data_builders.teacher.fault import Asking
from videorouter.data_builders.teacher.journal import Answer
from videorouter.data_builders.teacher.request import Request
from videorouter.data_builders.teacher.teacher import Teacher

_ITEM: ContextVar[str] = ContextVar("item", default="")


@dataclass
class Need:
    """What answers cost, whenever they were paid, and what of it was paid now.

    `largest` and `sent` are bytes of request bodies, `pictures` the most in one; `sent` is of requests that were paid now.
    """

    used: Usage = field(default_factory=Usage)
    paid: Usage = field(default_factory=Usage)
    pictures: int = 0
    largest: int = 0
    sent: int = 0

    def add(self, request: Request, usage: Usage, paid: bool) -> None:
        """One more request."""
        size = body_bytes(request)
        self.take(Need(usage, usage if paid else Usage(), len(request.pictures), size, size if paid else 0))

    def take(self, other: "Need") -> None:
        """Count another one in."""
        self.used += other.used
        self.paid += other.paid
        self.sent += other.sent
        self.pictures = max(self.pictures, other.pictures)
        self.largest = max(self.largest, other.largest)


class Meter:
    """Needs by item. Tasks that are begun within `counting` an item count for it."""

    def __init__(self) -> None:
        self.needs: defaultdict[str, Need] = defaultdict(Need)
        self._seen: set[str] = set()

    @contextmanager
    def counting(self, item: str) -> Iterator[Need]:
        """Count what the body asks for `item`."""
        token = _ITEM.set(item)
        try:
            yield self.needs[item]
        finally:
            _ITEM.reset(token)

    def note(self, request: Request, usage: Usage, paid: bool) -> None:
        """A request was answered."""
        if request.key not in self._seen:
            self._seen.add(request.key)
            self.needs[_ITEM.get()].add(request, usage, paid)


class MeteredTeacher(Teacher):
    """A view of a teacher that tells a meter of every answer: client, journal and what is in flight are that teacher's."""

    def __init__(self, teacher: Teacher, meter: Meter) -> None:
        self.__dict__.update(vars(teacher))
        self._meter = meter

    async def _answer(self, request: Request, asking: Asking) -> Answer:
        kept = self._shared.journal.find(request.key)
        answer = await super()._answer(request, asking)
        self._meter.note(request, answer.usage, paid=kept is None)
        return answer


def body_bytes(request: Request) -> int:
    """The size of a request's body, without the few bytes between its parts."""
    pictures = sum(len(picture.url) + len(picture.label) for picture in request.pictures)
    return pictures + len(request.text.encode()) + sum(len(part.encode()) for part in request.correcting or ())


def together(needs: Iterable[Need]) -> Need:
    """The sum of several."""
    whole = Need()
    for need in needs:
        whole.take(need)
    return whole
