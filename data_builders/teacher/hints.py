"""What to change where an endpoint refuses everything, by what its words mention (ours)."""

import re

_HINTS = (
    (
        r"stream",
        "the builders read whole replies: ask a model that gives them, or through a gateway that gathers streams",
    ),
    (r"temperature", "set --teacher.temperature to what the model takes, or leave it out with null"),
    (
        r"max_(?:completion_)?tokens|cut off",
        "set --teacher.max_tokens or --teacher.max_tokens_name to what the model takes",
    ),
    (
        r"(?:too many|at most|maximum|limit|exceed\w*).{0,60}image|image.{0,60}(?:too many|at most|maximum|limit|exceed)",
        "allow more pictures a request (vLLM: --limit-mm-per-prompt), or ask with a smaller --window or fewer --frames",
    ),
    (
        r"no answer within",
        "raise --teacher.timeout, or ask with a smaller --window, fewer --frames or a lower --teacher.concurrency",
    ),
    (
        r"\b413\b|too large|entity|payload|body size",
        "let larger bodies through, or ask with a smaller --window or --frame_size",
    ),
    (
        r"context.?(?:length|window|size)|maximum.{0,20}length|max_model_len|too long|too many tokens|prompt.{0,30}exceed",
        "serve the model with a longer context, or ask with a smaller --window or --frame_size",
    ),
    (
        r"schema|response_format|structured|guided|grammar|keyword|additionalProperties|minimum|pattern",
        "use an engine, a version or an option of it that takes JSON schemas as response_format",
    ),
    (
        r"moderat|content.?(?:filter|policy)|safety|filtered",
        "change the endpoint's filter, or the endpoint",
    ),
    (
        r"extra_forbidden|extra inputs|(?:unknown|unrecognized|unsupported).{0,20}(?:field|parameter|argument|propert)",
        "take the field out of requests, --teacher.extra_body '{\"NAME\": null}'",
    ),
    (r"\b40[123]\b|api.?key|forbidden|permission|unauthorized|billing|quota", "check the key and what it may do"),
    (r"\b404\b|\bmodel\b", "check --teacher.model and --teacher.base_url"),
    (
        r"not a valid|no chat completion|invalid",
        "turn constrained decoding on in the engine, or ask a model that keeps to a JSON schema",
    ),
)


def what_to_change(words: str) -> str:
    """What a user can do about a refusal that every request meets."""
    found = (advice for pattern, advice in _HINTS if re.search(pattern, words, re.IGNORECASE | re.DOTALL))
    return next(found, "change what it names")
