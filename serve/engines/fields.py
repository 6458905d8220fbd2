"""Fields of a chat request that a way of answering cannot have: refused, and never silently left out (ours)."""

from collections.abc import Sequence
from typing import Any, Final

from videorouter.serve.chat.request import ChatRequest
from videorouter.serve.errors import RequestError

FIELDS: Final[dict[str, dict[str, tuple[Any, ...]]]] = {
    "n": {"n": (None, 1)},
    "penalties": {
        "presence_penalty": (None, 0),
        "frequency_penalty": (None, 0),
        "repetition_penalty": (None, 1),
    },
    "logprobs": {"logprobs": (None, False), "top_logprobs": (None, 0)},
    "logit_bias": {"logit_bias": (None, {})},
    "tools": {"tools": (None, []), "functions": (None, [])},
    "response_format": {"response_format": (None, {"type": "text"})},
}
"""Of each kind the fields, with the values that ask for nothing."""


def refuse(chat: ChatRequest, way: str, kinds: Sequence[str]) -> None:
    """Raise `RequestError` where a field of these `kinds` asks for something; `way` says what cannot give it."""
    given = {"n": chat.n, **chat.more}
    for kind in kinds:
        for name, nothing in FIELDS[kind].items():
            if given.get(name) not in nothing:
                raise RequestError(
                    f"{name} is not possible with {way}: leave it out, or ask a server started with --engine frames",
                    param=name,
                )
