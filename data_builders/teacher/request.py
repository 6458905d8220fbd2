"""What is sent to the teacher: prompts from files, frames as data URLs, and a request with the key its answer is kept under."""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from string import Template
from typing import Any

from pydantic import BaseModel

from videorouter.data_builders.teacher.parameters import USUAL_PARAMETERS, Parameters
from videorouter.data_builders.teacher.replies import Reply
from videorouter.data_builders.teacher.schemas import sent_schema
from videorouter.routers.systems.query import lettered

PROMPTS = Path(__file__).parents[1] / "prompts"
TEMPERATURE = 0
MOST_OF_A_BAD_REPLY = 4000
"""Characters of a bad reply that its correction shows: one that was cut off may be thousands of blanks."""


@dataclass(frozen=True)
class Prompt:
    """A prompt template by name; `hash` identifies its text and is stored with every label made by it."""

    name: str
    text: str

    @property
    def hash(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    def fill(self, values: Mapping[str, object]) -> str:
        """The text with its `$names` replaced; blank lines left by empty values are dropped."""
        filled = Template(self.text).substitute(values)
        return "\n".join(line for line in filled.splitlines() if line.strip())


def load_prompt(name: str) -> Prompt:
    """A shipped prompt. Raises `FileNotFoundError` naming what there is."""
    path = PROMPTS / f"{name}.txt"
    if not path.is_file():
        raise FileNotFoundError(
            f"no prompt {name!r}; there are {', '.join(sorted(p.stem for p in PROMPTS.glob('*.txt')))}"
        )
    return Prompt(name, path.read_text(encoding="utf-8"))


def options_block(options: Sequence[str] | None) -> str:
    """`Options:` and a lettered line each, or nothing."""
    return "\n".join(["Options:", *lettered(options)]) if options else ""


class DataUrl(str):
    """A data URL that is hashed once, however many requests it goes out with."""

    @cached_property
    def digest(self) -> str:
        """Its sha256."""
        return hashlib.sha256(self.encode()).hexdigest()


def data_url(jpeg: bytes) -> DataUrl:
    """A JPEG as a data URL."""
    return DataUrl("data:image/jpeg;base64," + base64.b64encode(jpeg).decode())


@dataclass(frozen=True)
class Picture:
    """One frame as it is sent: its label (such as `Frame-3:`) and a data URL."""

    label: str
    url: DataUrl


@dataclass(frozen=True)
class Request:
    """Text and pictures for `model`, to be answered in JSON of `schema`; `correcting` holds a bad reply and what is wrong."""

    model: str
    text: str
    pictures: tuple[Picture, ...]
    schema: type[Reply]
    correcting: tuple[str, str] | None = None
    parameters: Parameters = USUAL_PARAMETERS

    @property
    def most_tokens(self) -> int:
        """Tokens that the reply may take; a correction, which may follow a reply that was cut off, twice as many."""
        most = self.parameters.max_tokens or self.schema.most_tokens(len(self.pictures))
        return 2 * most if self.correcting else most

    @property
    def key(self) -> str:
        """sha256 of all that decides the answer: model, text, pictures, schema and the parameters that are not the usual ones."""
        digest = hashlib.sha256()
        for part in self._parts():
            data = part.encode()
            digest.update(b"%d:" % len(data))
            digest.update(data)
        return digest.hexdigest()

    def _parts(self) -> Iterator[str]:
        usual = [self.model, TEMPERATURE, self.schema.__name__, _json_schema(self.schema)]
        yield json.dumps([*usual, *filter(None, [self.parameters.unusual])], sort_keys=True)
        yield self.text
        for picture in self.pictures:
            yield picture.label
            yield picture.url.digest
        yield from self.correcting or ()

    def body(self) -> dict[str, Any]:
        """The body of a chat completion. Pictures come first: endpoints that cache prefixes read a video's frames once."""
        content: list[dict[str, Any]] = []
        for picture in self.pictures:
            content.append({"type": "text", "text": picture.label})
            content.append({"type": "image_url", "image_url": {"url": picture.url}})
        content.append({"type": "text", "text": self.text})
        messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
        if self.correcting:
            raw, problem = self.correcting
            messages += [
                {"role": "assistant", "content": raw[:MOST_OF_A_BAD_REPLY] or "(nothing)"},  # some refuse an empty one
                {"role": "user", "content": problem},
            ]
        schema = {"name": self.schema.__name__, "schema": sent_schema(self.schema), "strict": True}
        body = {
            "model": self.model,
            "messages": messages,
            "response_format": {"type": "json_schema", "json_schema": schema},
            self.parameters.max_tokens_name: self.most_tokens,
            "temperature": self.parameters.temperature,
        }
        body |= self.parameters.extra_body
        return {name: value for name, value in body.items() if value is not None}


@lru_cache
def _json_schema(schema: type[BaseModel]) -> dict[str, Any]:
    """With the bounds that are not sent: answers are kept under it."""
    return schema.model_json_schema()
