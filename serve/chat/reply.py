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


def usage_object(prompt: int, completion: int, cached: int = 0) -> dict[str, Any]:
    """OpenAI's usage: tokens of the prompt as it was fed, `cached` among them, and of all answers."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }


def whole_choice(
    text: str, finish_reason: str, index: int = 0, logprobs: Sequence[Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """A whole answer, as a completion holds it; `finish_reason` is one of `FinishReason`, or an upstream's own."""
    message = {"role": "assistant", "content": text, "refusal": None}
    told = None if logprobs is None else {"content": list(logprobs), "refusal": None}
    return {"index": index, "message": message, "finish_reason": finish_reason, "logprobs": told}


def first_choice(index: int = 0) -> dict[str, Any]:
    """The beginning of an answer, as a chunk holds it: its role, and no text yet."""
    return _delta(index, {"role": "assistant", "content": "", "refusal": None}, None)


def text_choice(text: str, index: int = 0) -> dict[str, Any]:
    """A further piece of an answer."""
    return _delta(index, {"content": text}, None)


def last_choice(finish_reason: FinishReason, index: int = 0) -> dict[str, Any]:
    """The end of an answer."""
    return _delta(index, {}, finish_reason)


def _delta(index: int, delta: dict[str, Any], finish: FinishReason | None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "finish_reason": finish, "logprobs": None}


@dataclass(frozen=True)
class Reply:
    """What all objects about one request have in common; `created` in seconds since 1970.

    Choices and usage are ours, made by the functions above, or an upstream's. The `extension` that methods take is the routing,
    under the key `videorouter`; None leaves it out.
    """

    model: str
    include_usage: bool = False
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def completion(
        self, choices: list[dict[str, Any]], usage: dict[str, Any] | None, extension: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The whole answer."""
        return self._object("chat.completion", choices, extension) | {"usage": usage}

    def chunk(self, choices: list[dict[str, Any]], extension: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A part of a stream."""
        made = self._object("chat.completion.chunk", choices, extension)
        return made | {"usage": None} if self.include_usage else made

    def usage_chunk(self, usage: dict[str, Any] | None) -> dict[str, Any]:
        """The chunk behind all answers, for clients that asked for it (`include_usage`): the usage, and no choices."""
        return self._object("chat.completion.chunk", [], None) | {"usage": usage}

    def _object(self, kind: str, choices: list[dict[str, Any]], extension: Mapping[str, Any] | None) -> dict[str, Any]:
        made = {"id": self.id, "object": kind, "created": self.created, "model": self.model, "choices": choices}
        return made if extension is None else made | {EXTENSION: dict(extension)}


DONE = "[DONE]"
"""The data of a stream's last event, also behind an error."""


def error_event(error: RequestError) -> dict[str, Any]:
    """The data of the event that tells, amid a stream whose status was sent long ago, that it failed; `status` is among it."""
    body = error.body()
    return {"error": {**body["error"], "status": error.status}}
