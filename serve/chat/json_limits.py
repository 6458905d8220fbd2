"""What no part of a request may hold, however deep it stands: embeddings, NaN, huge numbers, endless nesting (ours)."""

import math
from typing import Any, Final, TypeAlias

from videorouter.serve.errors import RequestError

DEEPEST: Final = 64
"""Levels of a body: schemas of tools nest some twenty."""
MOST: Final = 200_000
"""Values of a body: ten thousand pictures with their texts are seventy thousand."""
LARGEST: Final = 2**64 - 1
SMALLEST: Final = -(2**63)
Step: TypeAlias = "tuple[Step, str | int] | None"
"""The way to a value, innermost key first."""


def refuse_unfit(body: Any) -> None:
    """Raise `RequestError`, which names the place, for a body that holds what neither we nor an upstream should read.

    That is any key that ends in `_embeds` or names precomputed embeddings (an upstream would deserialise a tensor), NaN and
    infinities, whole numbers beyond 64 bits, text that is not Unicode, more than `DEEPEST` levels or `MOST` values, and what is
    not JSON.
    """
    seen = 0
    waiting: list[tuple[Any, Step, int]] = [(body, None, 0)]
    while waiting:
        value, step, depth = waiting.pop()
        if isinstance(value, str):
            _check_text(value, step)
        elif isinstance(value, dict | list):
            if depth >= DEEPEST:
                raise _refused(step, f"stands {DEEPEST} levels deep", "send a flatter body")
            if (seen := seen + len(value)) > MOST:
                raise _refused(None, f"holds more than {MOST} values", "send fewer parts, or pictures as one video")
            if isinstance(value, dict):
                for key in value:
                    _check_key(key, step)
            items = value.items() if isinstance(value, dict) else enumerate(value)
            waiting += ((item, (step, key), depth + 1) for key, item in items)
        elif isinstance(value, float):
            if not math.isfinite(value):
                raise _refused(step, f"is {value}", "JSON knows finite numbers only")
        elif isinstance(value, int):
            if not SMALLEST <= value <= LARGEST:
                raise _refused(step, "is beyond 64 bits", "send a smaller number")
        elif value is not None:
            raise _refused(step, f"is of type {type(value).__name__}", "send JSON")


def holds_embeddings(name: str) -> bool:
    """Whether a key, or the type of a content part, is one under which engines take tensors."""
    lowered = name.lower()
    return lowered.endswith("_embeds") or lowered.startswith("precomputed_embedding")


def _check_key(key: Any, step: Step) -> None:
    if not isinstance(key, str):
        raise _refused(step, f"has a key of type {type(key).__name__}", "send JSON")
    _check_text(key, step)
    if holds_embeddings(key):
        raise _refused(
            (step, key), "carries embeddings", "they are not taken from clients: send the video or its frames"
        )


def _check_text(text: str, step: Step) -> None:
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _refused(step, "holds half a surrogate pair", "send text that is valid Unicode") from None


def _refused(step: Step, wrong: str, remedy: str) -> RequestError:
    place = _place(step)
    return RequestError(f"{place or 'the body'} {wrong}: {remedy}", param=place or None)


def _place(step: Step) -> str:
    """`messages[1].content[0]`; long keys and long ways are cut."""
    keys: list[str | int] = []
    while step is not None:
        step, key = step
        keys.append(key)
    place = ""
    for key in reversed(keys[-12:]):
        if isinstance(key, int):
            place += f"[{key}]"
        else:
            shown = key if key.isidentifier() and len(key) <= 60 else ascii(key[:40])
            place += f".{shown}" if place else shown
    return place if len(keys) <= 12 else place + "..."
