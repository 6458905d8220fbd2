"""Choices of vLLM's /v1/completions in the form of a chat: text as a delta, log-probabilities as a list of tokens (ours)."""

from collections.abc import Mapping
from typing import Any


def chat_choice(choice: Mapping[str, Any], most: int) -> dict[str, Any]:
    """One choice of a chunk; each token has its `most` most probable ones beside it, where log-probabilities were asked for."""
    text = choice.get("text")
    return {
        "index": choice.get("index", 0),
        "delta": {"content": text} if text else {},
        "finish_reason": choice.get("finish_reason"),
        "logprobs": chat_logprobs(choice.get("logprobs"), most),
    }


def chat_logprobs(told: Mapping[str, Any] | None, most: int) -> dict[str, Any] | None:
    """`{tokens, token_logprobs, top_logprobs}`, where the chosen token is among the top ones -> `{content}`."""
    if told is None:
        return None
    tops = told.get("top_logprobs") or [None] * len(told["tokens"])
    content = []
    for token, logprob, top in zip(told["tokens"], told["token_logprobs"], tops, strict=True):
        best = sorted((top or {}).items(), key=lambda one: -one[1])[:most]
        content.append(_token(token, logprob) | {"top_logprobs": [_token(*one) for one in best]})
    return {"content": content, "refusal": None}


def _token(token: str, logprob: float) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}
