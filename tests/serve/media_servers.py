"""Servers of media and names that lead to them, as tests want them."""

from collections.abc import Callable
from typing import Any

from tests.loopback.raw import response
from tests.serve.opening import MP4

Send = Callable[[bytes], Any]


def good(head: bytes, send: Send) -> None:
    send(response(MP4, "Content-Type: text/html"))


def redirecting(location: str, status: str = "302 Found") -> Callable[[bytes, Send], None]:
    def answer(head: bytes, send: Send) -> None:
        send(response(MP4, f"Location: {location}", status=status))

    return answer


class Names:
    """A resolver whose answers are given: one after another, the last for ever."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.answers, self.asked = answers, list[tuple[str, int]]()

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append((host, port))
        left = self.answers[host.split(".", maxsplit=1)[0]]
        return left.pop(0) if len(left) > 1 else left[0]
