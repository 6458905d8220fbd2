"""What answers a chat request is what openai-python reads: completions, streams, and errors amid a stream."""

import json
from collections.abc import Iterable
from typing import Any

import httpx2
import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from videorouter.serve.chat.reply import (
    DONE,
    Reply,
    error_event,
    first_choice,
    last_choice,
    text_choice,
    usage_object,
    whole_choice,
)
from videorouter.serve.errors import Unreachable

ROUTING = {"engine": "own", "policy": "fragment", "tokens": 248}


def client(response: httpx2.Response) -> openai.OpenAI:
    """A real client whose connection gives this response."""
    transport = httpx2.MockTransport(lambda request: response)
    return openai.OpenAI(
        api_key="none", base_url="http://test/v1", max_retries=0, http_client=httpx2.Client(transport=transport)
    )


def streamed(events: Iterable[Any]) -> httpx2.Response:
    written = "".join(f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n" for event in events)
    return httpx2.Response(200, headers={"content-type": "text/event-stream"}, text=written)


def ask(response: httpx2.Response, **more: Any) -> Any:
    return client(response).chat.completions.create(model="router", messages=[{"role": "user", "content": "?"}], **more)


def test_a_completion_is_read_with_usage_and_routing() -> None:
    made = Reply("router").completion(
        [whole_choice("(B)", "stop"), whole_choice("(C", "length", 1)], usage_object(300, 5, 128), ROUTING
    )
    ChatCompletion.model_validate(made, strict=True)
    read = ask(httpx2.Response(200, json=made))
    assert read.id.startswith("chatcmpl-")
    assert (read.object, read.model) == ("chat.completion", "router")
    assert [(choice.message.content, choice.finish_reason) for choice in read.choices] == [
        ("(B)", "stop"),
        ("(C", "length"),
    ]
    assert (read.usage.prompt_tokens, read.usage.completion_tokens, read.usage.total_tokens) == (300, 5, 305)
    assert read.usage.prompt_tokens_details.cached_tokens == 128
    assert read.model_extra["videorouter"] == ROUTING


@pytest.mark.parametrize("include_usage", [True, False])
def test_a_stream_is_read_to_its_end(include_usage: bool) -> None:
    reply = Reply("router", include_usage)
    made = [
        reply.chunk([first_choice()], ROUTING),
        reply.chunk([text_choice("He ")]),
        reply.chunk([text_choice("waves.")]),
        reply.chunk([last_choice("stop")], ROUTING | {"seconds": {"total": 1.0}}),
        *([reply.usage_chunk(usage_object(300, 5))] if include_usage else []),
    ]
    for chunk in made:
        ChatCompletionChunk.model_validate(chunk, strict=True)
        assert ("usage" in chunk) == include_usage
    read = list(ask(streamed([*made, DONE]), stream=True))
    assert len(read) == len(made)
    assert len({(chunk.id, chunk.created, chunk.model, chunk.object) for chunk in read}) == 1
    assert read[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in read if chunk.choices) == "He waves."
    assert [chunk.choices[0].finish_reason for chunk in read if chunk.choices] == [None, None, None, "stop"]
    assert ["videorouter" in chunk.model_extra for chunk in read[:4]] == [True, False, False, True]
    assert [chunk.usage.total_tokens for chunk in read if chunk.usage] == ([305] if include_usage else [])
    assert (not read[-1].choices) == include_usage


def test_an_error_amid_a_stream_is_raised_by_the_client() -> None:
    events = [Reply("router").chunk([first_choice()]), error_event(Unreachable("the upstream broke off")), DONE]
    stream = ask(streamed(events), stream=True)
    next(stream)
    with pytest.raises(openai.APIError, match="the upstream broke off") as raised:
        next(stream)
    assert raised.value.type == "upstream_error"
    assert isinstance(raised.value.body, dict)
    assert raised.value.body["status"] == 503


def test_every_reply_has_an_id_of_its_own() -> None:
    assert Reply("router").id != Reply("router").id
