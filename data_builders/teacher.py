"""The teacher: any OpenAI-compatible endpoint, asked for JSON of a schema and held to it."""

import asyncio
import base64
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ValidationError

ReplyModel = TypeVar("ReplyModel", bound=BaseModel)
Checked = TypeVar("Checked")


class TeacherUnavailable(RuntimeError):
    """The endpoint could not be reached, or refused every attempt; unfinished work is left for a rerun."""


class TeacherReplyError(ValueError):
    """Two replies in a row were not of the schema, or one was no chat completion at all; `raw` holds the last one."""

    verdict: ClassVar[str] = "invalid_reply"

    def __init__(self, reason: str, raw: str) -> None:
        super().__init__(reason)
        self.raw = raw


class TeacherRefusal(TeacherReplyError):
    """The endpoint refused this one request (too long, not allowed, ...); other requests may well be answered."""

    verdict = "refused"


OF_ONE_REQUEST = (400, 413, 422)
"""HTTP statuses that speak about the request; all others speak about the endpoint."""


@dataclass
class TeacherConfig:
    """Where the teacher is. The key is read from the environment variable OPENAI_API_KEY and from nowhere else.

    Args:
        base_url: OpenAI-compatible endpoint, such as http://127.0.0.1:8000/v1
        model: model name sent with every request
        concurrency: requests in flight
        timeout: seconds a request may take
        attempts: times a request is repeated after 429, 5xx, a timeout or a lost connection
    """

    base_url: str = "http://127.0.0.1:8000/v1"
    model: str = "teacher"
    concurrency: int = 8
    timeout: float = 120.0
    attempts: int = 5


@dataclass
class Usage:
    """What was spent so far."""

    requests: int = 0
    images: int = 0
    tokens_in: int = 0
    tokens_out: int = 0


@dataclass(frozen=True)
class Picture:
    """One frame as it is sent: its label (such as `Frame-3:`) and a data URL."""

    label: str
    url: str


def data_url(jpeg: bytes) -> str:
    """A JPEG as a data URL."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


@dataclass
class Teacher:
    """Asks one endpoint, at most `concurrency` requests at a time."""

    config: TeacherConfig
    usage: Usage = field(default_factory=Usage)

    def __post_init__(self) -> None:
        from openai import AsyncOpenAI

        self._client = AsyncOpenAI(
            base_url=self.config.base_url,
            api_key=os.environ.get("OPENAI_API_KEY", "none"),
            timeout=self.config.timeout,
            max_retries=self.config.attempts,
        )
        self._free = asyncio.Semaphore(self.config.concurrency)

    async def ask(
        self,
        text: str,
        pictures: Sequence[Picture],
        schema: type[ReplyModel],
        check: Callable[[ReplyModel], Checked],
    ) -> Checked:
        """Send one prompt with its pictures and return `check(reply)` of the parsed reply.

        A reply that is not of `schema`, or on which `check` raises `ValueError`, is asked for once more, with the error.
        Raises `TeacherReplyError` when the second reply fails too, `TeacherRefusal` where the endpoint refuses this
        request, `TeacherUnavailable` when the endpoint fails.
        """
        content: list[dict[str, Any]] = [{"type": "text", "text": text}]
        for picture in pictures:
            content.append({"type": "text", "text": picture.label})
            content.append({"type": "image_url", "image_url": {"url": picture.url}})
        messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
        raw, problem = await self._request(messages, schema, len(pictures)), ""
        for attempt in range(2):
            try:
                return check(schema.model_validate_json(raw))
            except ValidationError as error:
                problem = "; ".join(
                    f"{'.'.join(map(str, e['loc'])) or 'reply'}: {e['msg']}" for e in error.errors(include_url=False)
                )
            except ValueError as error:
                problem = str(error)
            if attempt == 0:
                correction = f"This reply is not valid: {problem}. Reply again, with JSON of the requested schema only."
                messages += [{"role": "assistant", "content": raw}, {"role": "user", "content": correction}]
                raw = await self._request(messages, schema, len(pictures))
        raise TeacherReplyError(f"the reply is not a valid {schema.__name__} after one correction: {problem}", raw)

    async def _request(self, messages: list[dict[str, Any]], schema: type[BaseModel], images: int) -> str:
        from openai import APIConnectionError, APIStatusError

        response_format = {
            "type": "json_schema",
            "json_schema": {"name": schema.__name__, "schema": schema.model_json_schema(), "strict": True},
        }
        async with self._free:
            try:
                completion = await self._client.chat.completions.create(  # type: ignore[call-overload]
                    model=self.config.model,
                    messages=messages,
                    response_format=response_format,
                    temperature=0,
                )
            except APIConnectionError as error:
                raise TeacherUnavailable(
                    f"the teacher at {self.config.base_url} does not answer after {self.config.attempts + 1} attempts "
                    f"({error}): start it, then run the same command again; what is finished is kept"
                ) from error
            except APIStatusError as error:
                if error.status_code in OF_ONE_REQUEST:
                    raise TeacherRefusal(
                        f"the teacher refused the request: HTTP {error.status_code} {error.message}",
                        error.response.text,
                    ) from error
                raise TeacherUnavailable(
                    f"the teacher at {self.config.base_url} refused: HTTP {error.status_code} {error.message}: "
                    "check model name, key and limits, then run the same command again; what is finished is kept"
                ) from error
            except ValueError as error:  # a body that is no JSON
                raise TeacherReplyError(f"the teacher's response is no chat completion: {error}", "") from error
            finally:
                self.usage.requests += 1
                self.usage.images += images
        try:
            if completion.usage:
                self.usage.tokens_in += completion.usage.prompt_tokens
                self.usage.tokens_out += completion.usage.completion_tokens
            return completion.choices[0].message.content or ""
        except (AttributeError, IndexError, TypeError) as error:  # the client does not check what an endpoint sends
            raise TeacherReplyError("the teacher's response is no chat completion", str(completion)[:2000]) from error
