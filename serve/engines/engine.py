"""What the server asks of an engine, and the pieces in which an engine answers."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any, Protocol

from videorouter.routers.answering.routed_question import RoutedQuestion
from videorouter.serve.chat.reply import whole_choice
from videorouter.serve.chat.request import ChatRequest
from videorouter.serve.config import EngineName


@dataclass(frozen=True)
class Piece:
    """A part of an answer: `choices` and `usage` as a chunk of OpenAI's interface holds them, and seconds of stages."""

    choices: list[dict[str, Any]] = field(default_factory=list)
    usage: dict[str, Any] | None = None
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Whole:
    """A whole answer: `choices` with their messages, and `usage`."""

    choices: list[dict[str, Any]]
    usage: dict[str, Any] | None
    seconds: dict[str, float] = field(default_factory=dict)


class ServingEngine(Protocol):
    """Answers questions that were routed, and requests that show no video.

    `keeps_frames` says that frames are sent as pictures: they are kept larger than the base sees them, and tokens cannot be dropped
    inside one.
    """

    name: EngineName
    keeps_frames: bool

    async def healthy(self) -> bool:
        """Whether what it needs answers."""
        ...

    def check(self, chat: ChatRequest) -> None:
        """Raise `RequestError` for fields that a routed request cannot have here."""
        ...

    def prepare(self, routed: RoutedQuestion, chat: ChatRequest) -> Any:
        """What `stream` and `complete` take, made on the model's thread. Raises `ValueError`."""
        ...

    async def prepare_unrouted(self, chat: ChatRequest) -> Any:
        """What they take for a request that is not routed: text, or what an upstream can be shown. Raises `RequestError`."""
        ...

    def sent(self, prepared: Any) -> dict[str, Any] | None:
        """The pictures that go to an upstream, as an answer's extension tells of them; None where none were made of frames."""
        ...

    def stream(self, prepared: Any, chat: ChatRequest) -> AsyncGenerator[Piece]:
        """The answer, piece by piece; an empty one comes first, once the request was accepted. Raises `RequestError`."""
        ...

    async def complete(self, prepared: Any, chat: ChatRequest) -> Whole:
        """The whole answer. Raises `RequestError`."""
        ...


async def collected(pieces: AsyncGenerator[Piece]) -> Whole:
    """The choices that pieces add up to. Raises as `pieces`."""
    texts, reasons = dict[int, str](), dict[int, str]()
    logprobs: dict[int, list[Any]] = {}
    usage, seconds = None, dict[str, float]()
    async for piece in pieces:
        for choice in piece.choices:
            index = choice["index"]
            texts[index] = texts.get(index, "") + (choice["delta"].get("content") or "")
            reasons[index] = choice["finish_reason"] or reasons.get(index, "length")
            if choice.get("logprobs"):
                logprobs.setdefault(index, []).extend(choice["logprobs"]["content"])
        usage = piece.usage or usage
        seconds |= piece.seconds
    choices = [whole_choice(texts[index], reasons[index], index, logprobs.get(index)) for index in sorted(texts)]
    return Whole(choices, usage, seconds)
