"""The objects that answer a chat request: one completion, or chunks of a stream (OpenAI's shapes, and one key of ours)."""

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from videorouter.serve.chat.allowed_fields import EXTENSION
from videorouter.serve.errors import RequestError

FinishReason = Literal["stop", "length"]
"""`stop`: the model ended, or wrote a stop text; `length`: the most tokens were reached."""


@dataclass(frozen=True)
class Usage:
    """Tokens of one request: of the prompt as it was fed, `cached` among them, and of all answers."""

    prompt: int
    completion: int
    cached: int = 0

    def body(self) -> dict[str, Any]:
        """OpenAI's object."""
        return {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
            "prompt_tokens_details": {"cached_tokens": self.cached},
        }


@dataclass(frozen=True)
class Choice:
    """One whole answer."""

    text: str
    finish_reason: FinishReason


@dataclass(frozen=True)
class Reply:
    """What all objects about one request have in common; `created` in seconds since 1970.

    The `extension` that methods take is the routing, under the key `videorouter`; None leaves it out.
    """

    model: str
    include_usage: bool = False
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def completion(
        self, choices: Sequence[Choice], usage: Usage, extension: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The whole answer."""
        answered = [
            {
                "index": index,
                "message": {"role": "assistant", "content": choice.text, "refusal": None},
                "finish_reason": choice.finish_reason,
                "logprobs": None,
            }
            for index, choice in enumerate(choices)
        ]
        return self._object("chat.completion", answered, extension) | {"usage": usage.body()}

    def first_chunk(self, index: int = 0, extension: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The chunk that begins answer `index`: its role, and no text yet."""
        return self._chunk(index, {"role": "assistant", "content": "", "refusal": None}, None, extension)

    def text_chunk(self, text: str, index: int = 0) -> dict[str, Any]:
        """A further piece of answer `index`."""
        return self._chunk(index, {"content": text}, None, None)

    def last_chunk(
        self, finish_reason: FinishReason, index: int = 0, extension: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The chunk that ends answer `index`."""
        return self._chunk(index, {}, finish_reason, extension)

    def usage_chunk(self, usage: Usage) -> dict[str, Any]:
        """The chunk behind all answers, for clients that asked for it (`include_usage`): the usage, and no choices."""
        return self._object("chat.completion.chunk", [], None) | {"usage": usage.body()}

    def _chunk(
        self, index: int, delta: dict[str, Any], finish: FinishReason | None, extension: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        choice = {"index": index, "delta": delta, "finish_reason": finish, "logprobs": None}
        made = self._object("chat.completion.chunk", [choice], extension)
        return made | {"usage": None} if self.include_usage else made

    def _object(self, kind: str, choices: list[dict[str, Any]], extension: Mapping[str, Any] | None) -> dict[str, Any]:
        made = {"id": self.id, "object": kind, "created": self.created, "model": self.model, "choices": choices}
        return made if extension is None else made | {EXTENSION: dict(extension)}


DONE = "[DONE]"
"""The data of a stream's last event, also behind an error."""


def error_event(error: RequestError) -> dict[str, Any]:
    """The data of the event that tells, amid a stream whose status was sent long ago, that it failed; `status` is among it."""
    body = error.body()
    return {"error": {**body["error"], "status": error.status}}
