"""Every place of a conversation from which an upstream might fetch something (ours)."""

from collections.abc import Iterator
from typing import Any, Final

HARMLESS: Final = frozenset(
    (
        *("type", "text", "refusal", "detail", "format", "mime_type", "media_type", "filename", "name", "uuid"),
        *("source_type", "role", "thinking", "reasoning", "signature", "summary", "cache_control", "title", "context"),
    )
)
"""Fields of content parts that no server takes for an address."""
CONTENTS: Final = frozenset({"data", "base64", "file_data", "video_data", "image_data"})
"""Fields that hold media itself as base64, or as a data URL."""


def media_urls(messages: Any) -> Iterator[tuple[str, str]]:
    """(place, text) of all that might be an address, in the parts of `messages`, whatever a part's type or a field's name.

    Only `data:` URLs, and base64 where that is usual, are left out: an engine may know a field that we do not, and take paths.
    """
    for number, message in enumerate(messages):
        content = message.get("content") if isinstance(message, dict) else None
        for place, part in enumerate(content if isinstance(content, list) else ()):
            if isinstance(part, dict):
                yield from _in(part, f"messages[{number}].content[{place}]", "")


def _in(value: Any, place: str, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _in(inner, f"{place}.{key}", key)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _in(inner, f"{place}[{number}]", name)
    elif isinstance(value, str) and name not in HARMLESS and not _is_content(value, name):
        yield place, value


def _is_content(value: str, name: str) -> bool:
    return value.lstrip()[:5].lower() == "data:" or (name in CONTENTS and ":" not in value[:64])
