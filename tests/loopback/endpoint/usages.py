"""What `usage` can be. None of it costs an item: where it does not count tokens they are estimated."""

import json
from typing import Any

from tests.loopback.endpoint.asked import Asked
from tests.loopback.endpoint.mode import FINE, Behaviour, Completion, Mode, mode
from tests.loopback.endpoint.sent import Sent, response, told


def usage(value: Any) -> Behaviour:
    """The good completion with another usage."""
    return lambda asked, good: told(good | {"usage": value}, good=True)


def absent(asked: Asked, good: Completion) -> Sent:
    return told({name: value for name, value in good.items() if name != "usage"}, good=True)


def infinite(asked: Asked, good: Completion) -> Sent:
    body = json.dumps(good | {"usage": {"prompt_tokens": 0, "completion_tokens": 1}})
    return response(body.replace('"prompt_tokens": 0', '"prompt_tokens": 1e999').encode(), good=True)


def pair(prompt: Any, completion: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion}


MODES: list[Mode] = [
    mode("usage_absent", "no usage", FINE, absent),
    mode("usage_null", "usage null", FINE, usage(None)),
    mode("usage_empty", "usage an empty object", FINE, usage({})),
    mode("usage_partial", "usage without completion tokens", FINE, usage({"prompt_tokens": 12})),
    mode("usage_nulls", "counts that are null", FINE, usage(pair(None, None))),
    mode("usage_text", "counts that are text", FINE, usage(pair("12", "34"))),
    mode("usage_words", "usage that is words", FINE, usage("12 tokens")),
    mode("usage_list", "usage that is a list", FINE, usage([12, 34])),
    mode("usage_floats", "counts with fractions", FINE, usage(pair(12.5, 3.0))),
    mode("usage_negative", "counts below 0", FINE, usage(pair(-1, -5))),
    mode("usage_huge", "counts beyond 64 bits", FINE, usage(pair(10**30, 10**30))),
    mode("usage_infinite", "counts beyond a float", FINE, infinite),
    mode(
        "usage_anthropic", "`input_tokens` and `output_tokens`", FINE, usage({"input_tokens": 12, "output_tokens": 34})
    ),
    mode("usage_truth", "counts that are true", FINE, usage(pair(True, False))),
]
