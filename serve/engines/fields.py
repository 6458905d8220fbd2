"""Fields of a chat request that a way of answering cannot have: refused, and never silently left out (ours)."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from videorouter.serve.chat.request import ChatRequest
from videorouter.serve.errors import RequestError

NOTHING: Final[Mapping[str, tuple[Any, ...]]] = {
    "n": (1,),
    **dict.fromkeys(("presence_penalty", "frequency_penalty", "min_p", "min_tokens", "top_logprobs"), (0,)),
    **dict.fromkeys(("repetition_penalty", "length_penalty"), (1,)),
    **dict.fromkeys(("logprobs", "ignore_eos", "include_stop_str_in_output", "return_token_ids"), (False,)),
    **dict.fromkeys(("skip_special_tokens", "spaces_between_special_tokens", "add_generation_prompt"), (True,)),
    **dict.fromkeys(("tools", "functions", "stop_token_ids", "bad_words", "logprob_token_ids"), ([],)),
    **dict.fromkeys(("tool_choice", "function_call"), ("none", "auto")),
    "parallel_tool_calls": (True, False),
    "continue_final_message": (False,),
    "chat_template_kwargs": ({}, {"enable_thinking": False}),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "response_format": ({"type": "text"},),
    "top_k": (-1, 0),
}
"""Values that ask for nothing, beside null."""
MEANT_FOR_OTHERS: Final = frozenset(
    (
        *("include_reasoning", "media_io_kwargs", "metadata", "mm_processor_kwargs", "prediction", "prompt_cache_key"),
        *("prompt_cache_retention", "reasoning_effort", "safety_identifier", "separate_reasoning", "service_tier"),
        *("store", "stream_reasoning", "user", "verbosity"),
    )
)
"""Fields without which an answer is the same: bookkeeping, hints for models that reason, how another reads a video."""


def refuse(chat: ChatRequest, way: str, possible: Collection[str], why: Mapping[str, str] | None = None) -> None:
    """Raise `RequestError` where a field that is not `possible` asks for something.

    `way` says what cannot give it, `why` adds a reason to a field's refusal. Fields with a place of their own in a `ChatRequest`
    are none of this function's business, but for `n`.
    """
    for name, value in sorted({"n": chat.n, **chat.more}.items()):
        if name not in possible and name not in MEANT_FOR_OTHERS and value not in NOTHING.get(name, ()):
            reason = f" ({why[name]})" if why and name in why else ""
            raise RequestError(
                f"{name} is not possible with {way}{reason}: leave it out, or ask a server started with --engine frames",
                param=name,
            )
