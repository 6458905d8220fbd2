"""A chat completion as a misbehaving endpoint sees it: what is asked, about which clip, and how often it came already."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

CLIP: Final = re.compile(r"clip-\d+")
"""How tests name videos, in the words of their questions, so that a request without pictures is known by its video, too."""


@dataclass(frozen=True)
class Asked:
    """One request. `key` is of all that decides a good answer; `attempt` counts from 1 how often it came under this fault."""

    method: str
    path: str
    headers: dict[str, str]
    size: int
    body: dict[str, Any] = field(default_factory=dict)
    number: int = 0
    attempt: int = 0

    @property
    def key(self) -> str:
        told = json.dumps([self.body.get("messages"), self.kind], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()

    @property
    def kind(self) -> str:
        """The schema's name, such as FrameScores; empty without one."""
        name: str = self.body.get("response_format", {}).get("json_schema", {}).get("name", "")
        return name

    @property
    def schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = self.body.get("response_format", {}).get("json_schema", {}).get("schema", {})
        return schema

    @property
    def text(self) -> str:
        """The words of the first message of the user: corrections that follow change no answer."""
        return "\n".join(part["text"] for part in self._parts if part["type"] == "text")

    @property
    def pictures(self) -> list[str]:
        return [part["image_url"]["url"] for part in self._parts if part["type"] == "image_url"]

    @property
    def clip(self) -> str:
        """The clip it is about, as its words name it; empty where they name none."""
        found = CLIP.search(self.text)
        return found[0] if found else ""

    @property
    def _parts(self) -> list[dict[str, Any]]:
        content = next(message["content"] for message in self.body["messages"] if message["role"] == "user")
        return [{"type": "text", "text": content}] if isinstance(content, str) else content


Where = Callable[[Asked], bool]
"""Which requests meet a fault."""


def always(asked: Asked) -> bool:
    """Every request."""
    return True


def first_try(asked: Asked) -> bool:
    """The first request of every item, when it comes for the first time."""
    return asked.attempt == 1 and asked.kind == "FrameScores"


def of_clip(*clips: str) -> Where:
    """Every request about these clips."""
    return lambda asked: asked.clip in clips


def of_kind(*kinds: str) -> Where:
    """Every request of these schemas."""
    return lambda asked: asked.kind in kinds


def every(nth: int) -> Where:
    """One request of so many, whatever it asks."""
    return lambda asked: asked.number % nth == 0


def more_pictures_than(count: int) -> Where:
    """Requests with more pictures."""
    return lambda asked: len(asked.pictures) > count


def mentioning(words: str) -> Where:
    """Requests whose text has these words."""
    return lambda asked: words in asked.text
