"""What was sent, by kind of request: how many, and the largest of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from videorouter.data_builders.teacher.config import Usage
from videorouter.data_builders.teacher.request import Request


@dataclass
class Sent:
    """The requests of one kind that were answered; all but `requests` are the most that one of them had."""

    requests: int = 0
    pictures: int = 0
    bytes: int = 0
    seconds: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0

    def add(self, request: Request, usage: Usage, seconds: float) -> None:
        """One more, which took `seconds` from being ready to its answer."""
        pictures = sum(len(picture.url) + len(picture.label) for picture in request.pictures)
        self.take(
            Sent(
                1,
                len(request.pictures),
                pictures + len(request.text.encode()),
                seconds,
                usage.tokens_in,
                usage.tokens_out,
            )
        )

    def take(self, other: "Sent") -> None:
        """Count others in."""
        self.requests += other.requests
        for name in ("pictures", "bytes", "seconds", "tokens_in", "tokens_out"):
            setattr(self, name, max(getattr(self, name), getattr(other, name)))

    def __str__(self) -> str:
        many = "1 request" if self.requests == 1 else f"{self.requests} requests"
        pictures = f"{self.pictures} pictures, " if self.pictures else ""
        return (
            f"{many}, at most {pictures}{self.bytes / 1e6:.2f} MB, {self.seconds:.1f} s, "
            f"{self.tokens_in:,} tokens in, {self.tokens_out:,} tokens out"
        )


def together(sent: Iterable[Mapping[str, Sent]]) -> dict[str, Sent]:
    """By kind, over several who sent."""
    whole: dict[str, Sent] = {}
    for by_kind in sent:
        for kind, one in by_kind.items():
            whole.setdefault(kind, Sent()).take(one)
    return whole
