"""What a 200 can hold in place of a chat completion: an error, another object, no object, or a completion gone wrong."""

import json
from collections.abc import Callable
from typing import Any

from tests.loopback.endpoint.asked import Asked, every, first_try
from tests.loopback.endpoint.mode import ASIDE, AWAY, FINE, REFUSED, Behaviour, Completion, Mode, mode, sends
from tests.loopback.endpoint.refusals import ODD_CLIP, page
from tests.loopback.endpoint.sent import Sent, response, told


def inside(code: Any, message: str) -> Behaviour:
    """An error inside a 200, as OpenRouter and LiteLLM pass their providers' on."""
    return sends(lambda: told({"error": {"code": code, "message": message, "metadata": {"provider_name": "P"}}}))


def envelope(of: Callable[[Completion], Any], *, good: bool = False) -> Behaviour:
    """Another body, a function of the good completion."""
    return lambda asked, completion: told(of(completion), good=good)


def choice(of: Callable[[dict[str, Any]], Any], *, good: bool = False) -> Behaviour:
    """The good completion with another first choice."""
    return envelope(lambda completion: completion | {"choices": [of(completion["choices"][0])]}, good=good)


def broken_off(chosen: dict[str, Any]) -> dict[str, Any]:
    return chosen | {"finish_reason": "error", "error": {"code": 502, "message": "Upstream error"}}


def half(chosen: dict[str, Any]) -> dict[str, Any]:
    text = chosen["message"]["content"]
    return chosen | {"finish_reason": "error", "message": {"role": "assistant", "content": text[:9]}}


def as_events(asked: Asked, good: Completion) -> Sent:
    delta = {"role": "assistant", "content": good["choices"][0]["message"]["content"]}
    chunk = good | {
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": delta, "finish_reason": "stop"}],
    }
    return response(f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode(), content_type="text/event-stream")


def repeated_key(asked: Asked, good: Completion) -> Sent:
    return response(b'{"choices": null, ' + json.dumps(good).encode()[1:], good=True)


MODES: list[Mode] = [
    mode(
        "inside_429_once",
        "an error inside a 200, code 429, to every seventh request",
        FINE,
        inside(429, "Provider returned error"),
        every(7),
    ),
    mode(
        "inside_502_once",
        'an error inside a 200, code "502" as text, to the first try',
        FINE,
        inside("502", "Bad gateway"),
        first_try,
    ),
    mode(
        "inside_500_for_one_clip",
        "an error inside a 200, code 500, to one clip",
        ASIDE,
        inside(500, "Internal error"),
        ODD_CLIP,
    ),
    mode("inside_401", "an error inside a 200, code 401, to all", REFUSED, inside(401, "User not found.")),
    mode(
        "inside_400",
        "an error inside a 200, code 400, to all",
        REFUSED,
        inside(400, "Provider returned error: unsupported parameter"),
    ),
    mode(
        "inside_moderation",
        "an error inside a 200, code 403, that names moderation, to one clip",
        ASIDE,
        inside(403, "Input was flagged by moderation"),
        ODD_CLIP,
    ),
    mode(
        "inside_text",
        "an error inside a 200 that is text alone",
        (ASIDE, AWAY),
        envelope(lambda c: {"error": "model runner has unexpectedly stopped"}),
    ),
    mode(
        "inside_flat",
        "an error object of vLLM's older form inside a 200",
        REFUSED,
        envelope(lambda c: {"object": "error", "message": "bad request", "type": "BadRequestError", "code": 400}),
    ),
    mode("inside_detail", "`detail` inside a 200", (ASIDE, AWAY), envelope(lambda c: {"detail": "Not authenticated"})),
    mode("inside_choice_once", "an error inside the choice, to the first try", FINE, choice(broken_off), first_try),
    mode(
        "inside_choice_for_one_clip",
        "finish reason `error` and half a reply, to one clip",
        ASIDE,
        choice(half),
        ODD_CLIP,
    ),
    mode("no_choices", "no choices", REFUSED, envelope(lambda c: c | {"choices": []})),
    mode("choices_null", "choices null", REFUSED, envelope(lambda c: c | {"choices": None})),
    mode(
        "choices_an_object", "choices an object", REFUSED, envelope(lambda c: c | {"choices": {"0": c["choices"][0]}})
    ),
    mode("choice_null", "a choice that is null", REFUSED, choice(lambda c: None)),
    mode(
        "message_missing",
        "a choice without a message",
        REFUSED,
        choice(lambda c: {"index": 0, "finish_reason": "stop"}),
    ),
    mode("message_text", "a message that is text", REFUSED, choice(lambda c: c | {"message": "hello"})),
    mode(
        "old_completion",
        "`text` in place of a message",
        (FINE, REFUSED),
        choice(lambda c: {"index": 0, "text": c["message"]["content"]}),
    ),
    mode("two_choices", "two choices", FINE, envelope(lambda c: c | {"choices": c["choices"] * 2}, good=True)),
    mode(
        "odd_fields",
        "id, created and model of odd types, fields nobody knows",
        FINE,
        envelope(
            lambda c: c | {"id": None, "created": "now", "model": 4, "object": None, "x_groq": {"id": []}}, good=True
        ),
    ),
    mode("null_body", "the body is `null`", REFUSED, envelope(lambda c: None)),
    mode("list_body", "the body is `[]`", REFUSED, envelope(lambda c: [])),
    mode("listed_completion", "the body is a list that holds the completion", (FINE, REFUSED), envelope(lambda c: [c])),
    mode("text_body", "the body is a JSON text", REFUSED, envelope(lambda c: "ok")),
    mode("empty_body", "the body is empty", (AWAY, REFUSED), sends(lambda: response(b""))),
    mode("no_content", "204", (AWAY, REFUSED), sends(lambda: response(b"", 204))),
    mode("html_body", "a page in HTML: a portal wants a login", (AWAY, REFUSED), sends(lambda: page(200, "Sign in"))),
    mode("events", "server-sent events, although none were asked for", (FINE, REFUSED), as_events),
    mode("repeated_key_in_body", "`choices` twice in the body", FINE, repeated_key),
]
