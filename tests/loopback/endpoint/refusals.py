"""Refusals by HTTP status: of every request, of those with something in them, of one clip's, of one in so many.

Wordings follow what OpenAI, Azure, Gemini, OpenRouter, vLLM, SGLang, LiteLLM, nginx and Cloudflare send.
"""

import json
from itertools import count
from typing import Any

from tests.loopback.endpoint.asked import Asked, every, first_try, mentioning, more_pictures_than, of_clip, of_kind
from tests.loopback.endpoint.mode import ASIDE, FINE, REFUSED, Behaviour, Completion, Mode, mode, sends
from tests.loopback.endpoint.sent import Sent, error, response, told

ODD_CLIP, FIRST_CLIP = of_clip("clip-05"), of_clip("clip-00")
NUMBERS = count(1)


def page(status: int, title: str) -> Sent:
    """A proxy's page in HTML."""
    text = f"<html><head><title>{status} {title}</title></head><body><h1>{title}</h1><hr>nginx</body></html>"
    return response(text.encode(), status, content_type="text/html")


def refuses(status: int, message: str, code: Any = None, **more: Any) -> Behaviour:
    """The same error to every request it is for."""
    return sends(lambda: error(status, message, code, **more))


def vllm(message: str) -> Behaviour:
    """As vLLM words a bad request."""
    return refuses(400, message, 400)


def with_changing_ids(asked: Asked, good: Completion) -> Sent:
    number = next(NUMBERS)
    return error(400, f"Request req_{number:08x}f3 at 2026-11-28T10:00:{number % 60:02d}Z: unsupported value {number}")


def parameter(name: str, message: str) -> Behaviour:
    """Refuses bodies that have a parameter."""
    return lambda asked, good: error(400, message, "unsupported_parameter") if name in asked.body else None


def bounds_in_schema(asked: Asked, good: Completion) -> Sent | None:
    text = json.dumps(asked.schema)
    bad = [word for word in ("minimum", "maximum", "minLength", "maxItems", "pattern") if f'"{word}":' in text]
    words = f"Invalid schema for response_format '{asked.kind}': In context=(), '{bad[:1]}' is not permitted."
    return error(400, words, "invalid_json_schema") if bad else None


def body_limit(asked: Asked, good: Completion) -> Sent | None:
    return page(413, "Request Entity Too Large") if len(asked.pictures) > 3 else None


MODES: list[Mode] = [
    mode(
        "key_wrong",
        "401 to all: the key is wrong",
        REFUSED,
        refuses(401, "Incorrect API key provided: sk-a***b1.", "invalid_api_key"),
        everywhere=True,
    ),
    mode(
        "money_spent",
        "402 to all: no credit is left",
        REFUSED,
        refuses(402, "This request requires more credits.", 402),
    ),
    mode(
        "quota_spent",
        "429 `insufficient_quota` to all",
        REFUSED,
        refuses(429, "You exceeded your current quota, please check your plan.", "insufficient_quota"),
    ),
    mode(
        "model_unknown",
        "404 to all: no such model",
        REFUSED,
        refuses(404, "The model `teacher` does not exist.", "model_not_found"),
    ),
    mode(
        "path_unknown",
        "404 to all, in HTML: the base URL lacks its path",
        REFUSED,
        sends(lambda: page(404, "Not Found")),
        everywhere=True,
    ),
    mode(
        "deployment_unknown",
        "404 to all, Azure: no such deployment",
        REFUSED,
        refuses(404, "The API deployment for this resource does not exist.", "DeploymentNotFound"),
    ),
    mode(
        "version_missing",
        "400 to all, Azure: `api-version` is missing",
        REFUSED,
        refuses(400, "Missing required query parameter: api-version", "BadRequest"),
    ),
    mode("forbidden", "403 to all, without a reason", REFUSED, sends(lambda: told({"error": "Forbidden"}, 403))),
    mode(
        "country_refused",
        "403 to all: the country is not supported",
        REFUSED,
        refuses(403, "Country, region, or territory not supported", "unsupported_country_region_territory"),
    ),
    mode(
        "forbidden_by_proxy",
        "403 to all, a page of Cloudflare",
        REFUSED,
        sends(lambda: page(403, "Attention Required! | Cloudflare")),
    ),
    mode("method_refused", "405 to all", REFUSED, sends(lambda: told({"detail": "Method Not Allowed"}, 405))),
    mode(
        "gone",
        "410 to all: the model was retired",
        REFUSED,
        refuses(410, "The model has been retired.", "model_retired"),
    ),
    mode("media_type_refused", "415 to all", REFUSED, refuses(415, "Unsupported media type.", None)),
    mode("teapot", "418 to all, without a body", REFUSED, sends(lambda: response(b"", 418))),
    mode(
        "validation_failed",
        "422 to all, FastAPI's list of details",
        REFUSED,
        sends(
            lambda: told(
                {
                    "detail": [
                        {
                            "loc": ["body", "response_format"],
                            "msg": "extra fields not permitted",
                            "type": "value_error.extra",
                        }
                    ]
                },
                422,
            )
        ),
    ),
    mode(
        "body_too_large", "413 to all, a page of nginx", REFUSED, sends(lambda: page(413, "Request Entity Too Large"))
    ),
    mode(
        "body_too_large_for_many_pictures",
        "413 to requests of more than 3 pictures",
        REFUSED,
        body_limit,
        necessity=True,
    ),
    mode(
        "picture_limit",
        "400 to requests of more than 3 pictures (vLLM)",
        REFUSED,
        vllm("At most 3 image(s) may be provided in one prompt."),
        more_pictures_than(3),
        necessity=True,
    ),
    mode(
        "picture_limit_of_none",
        "400 to requests with pictures: the model sees none",
        REFUSED,
        vllm("teacher is not a multimodal model"),
        more_pictures_than(0),
    ),
    mode(
        "context_too_short",
        "400 to all: the prompt is longer than the context (vLLM)",
        REFUSED,
        vllm("This model's maximum context length is 512 tokens. However, your request has 2310 input tokens."),
    ),
    mode(
        "context_too_short_for_one_clip",
        "400 to one clip's requests: too long",
        ASIDE,
        vllm("This model's maximum context length is 512 tokens. However, your request has 2310 input tokens."),
        ODD_CLIP,
    ),
    mode(
        "temperature_refused",
        "400 to all that set `temperature`",
        REFUSED,
        parameter("temperature", "Unsupported value: 'temperature' does not support 0 with this model."),
    ),
    mode(
        "max_tokens_refused",
        "400 to all that set `max_tokens`",
        REFUSED,
        parameter(
            "max_tokens",
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        ),
    ),
    mode(
        "schema_refused",
        "400 to all: `response_format` is not supported",
        REFUSED,
        refuses(400, "This model does not support response_format json_schema.", "invalid_request_error"),
    ),
    mode("schema_bounds_refused", "400 to schemas with bounds", FINE, bounds_in_schema),
    mode("changing_ids", "400 to all, each with another id, time and number in its words", REFUSED, with_changing_ids),
    mode(
        "judgements_refused",
        "400 to one kind of request, `Judgement`",
        REFUSED,
        refuses(400, "Text-only requests are not allowed.", None),
        of_kind("Judgement"),
        necessity=True,
    ),
    mode(
        "picture_broken",
        "400 to one clip's requests: a picture cannot be read",
        ASIDE,
        vllm("cannot identify image file <_io.BytesIO object at 0x7f3d5c1e>"),
        ODD_CLIP,
    ),
    mode(
        "first_clip_refused", "400 to the first clip's requests", ASIDE, vllm("cannot identify image file"), FIRST_CLIP
    ),
    mode(
        "question_refused",
        "400 to one question's requests",
        ASIDE,
        refuses(400, "Invalid character in prompt", None),
        mentioning("clip-03, part 1"),
    ),
    mode(
        "forbidden_for_one_clip",
        "403 to one clip's requests, without a reason",
        ASIDE,
        sends(lambda: told({"error": {"message": "Forbidden"}}, 403)),
        ODD_CLIP,
    ),
    mode("every_fifth_refused", "400 to every fifth request", ASIDE, refuses(400, "Bad request", None), every(5)),
    mode("conflict_once", "409 to the first try of each request", FINE, refuses(409, "Conflict", None), first_try),
    mode(
        "too_slow_once", "408 to the first try of each request", FINE, refuses(408, "Request Timeout", None), first_try
    ),
    mode("too_early_once", "425 to the first try of each request", FINE, sends(lambda: response(b"", 425)), first_try),
]
