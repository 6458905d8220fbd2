"""Which fields an engine refuses, and what becomes of an upstream's chunks: no server needed."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from videorouter.routers.backbones.sampling import Sampling
from videorouter.serve.chat.allowed_fields import ALLOWED
from videorouter.serve.chat.request import ChatRequest, parse_chat
from videorouter.serve.engines.completion_choices import chat_choice
from videorouter.serve.engines.engine import Piece, collected
from videorouter.serve.engines.fields import MEANT_FOR_OTHERS, NOTHING, refuse
from videorouter.serve.engines.own import POSSIBLE, sampling_of
from videorouter.serve.engines.pieces import pieces_of
from videorouter.serve.engines.vllm import LOGPROBS, SAME_NAME, WHY_NOT
from videorouter.serve.errors import RequestError


def chat(**fields: Any) -> ChatRequest:
    """A request with these fields beside."""
    return parse_chat({"messages": [{"role": "user", "content": "What is shown?"}], **fields})


@pytest.mark.parametrize(
    "field",
    [
        {"n": 2}, {"presence_penalty": 0.5}, {"tools": [{"type": "function"}]}, {"logprobs": True}, {"min_p": 0.1},
        {"response_format": {"type": "json_object"}}, {"structured_outputs": {"regex": "a"}}, {"guided_choice": ["a"]},
        {"min_tokens": 3}, {"logit_bias": {"3": 1}}, {"stop_token_ids": [3]}, {"bad_words": ["a"]},
    ],
    ids=lambda field: "+".join(field),
)  # fmt: skip
def test_the_own_engine_leaves_no_wish_out_silently(field: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match=f"{next(iter(field))} is not possible with the own engine") as error:
        refuse(chat(**field), "the own engine", POSSIBLE)
    assert error.value.param == next(iter(field))


def test_the_own_engine_draws_as_a_request_says() -> None:
    drawn = sampling_of(chat(temperature=0.7, top_p=0.8, top_k=20, seed=3))
    assert drawn == Sampling(temperature=0.7, top_p=0.8, top_k=20, seed=3)
    assert sampling_of(chat()) == Sampling()
    assert sampling_of(chat(temperature=1, top_p=0)).temperature == 0
    for wrong in (-2, 2.5, "20", True):
        with pytest.raises(RequestError) as raised:
            sampling_of(chat(top_k=wrong))
        assert raised.value.param == "top_k"


def test_values_that_ask_for_nothing_are_taken() -> None:
    for name, values in NOTHING.items():
        for value in values:
            refuse(chat(**{name: value}), "anything", ())
    refuse(chat(user="someone", metadata={"a": "b"}, store=True, reasoning_effort="low"), "anything", ())


def test_lists_name_fields_that_requests_may_have() -> None:
    assert {*NOTHING, *MEANT_FOR_OTHERS, *SAME_NAME, *LOGPROBS, *WHY_NOT} <= ALLOWED
    assert not {*SAME_NAME, *LOGPROBS} & {*MEANT_FOR_OTHERS, *WHY_NOT}


async def chunks(*made: dict[str, Any]) -> AsyncGenerator[dict[str, Any]]:
    """A stream."""
    for chunk in made:
        yield chunk


def choice(text: str, finish: str | None = None, index: int = 0, **more: Any) -> dict[str, Any]:
    """One choice of /v1/completions, as a chat's."""
    return chat_choice({"index": index, "text": text, "finish_reason": finish, **more}, 2)


def test_the_last_piece_alone_ends_answers_and_says_usage_and_seconds() -> None:
    stream = (
        {"choices": [choice("A")]},
        {"choices": [choice("B", "length", 1)]},
        {"choices": [choice("!", "stop")]},
        {"choices": [], "usage": {"prompt_tokens": 3}},
    )

    async def heard() -> list[Piece]:
        return [piece async for piece in pieces_of(chunks(*stream))]

    accepted, first, last = asyncio.run(heard())
    assert accepted == Piece()
    assert [one["delta"] for one in first.choices] == [{"content": "A"}]
    assert [(one["index"], one["finish_reason"]) for one in last.choices] == [(1, "length"), (0, "stop")]
    assert last.usage == {"prompt_tokens": 3}
    assert {*last.seconds} == {"prefill", "generate"}
    whole = asyncio.run(collected(pieces_of(chunks(*stream))))
    assert [(one["message"]["content"], one["finish_reason"]) for one in whole.choices] == [
        ("A!", "stop"),
        ("B", "length"),
    ]


def test_log_probabilities_are_collected_in_their_order() -> None:
    parts: list[dict[str, Any]] = [
        {"tokens": [token], "token_logprobs": [-1.0], "top_logprobs": [{token: -1.0, "b": -3.0, "c": -2.0}]}
        for token in ("a", "é")
    ]
    stream = [{"choices": [choice(part["tokens"][0], logprobs=part)]} for part in parts]
    [whole] = asyncio.run(collected(pieces_of(chunks(*stream, {"choices": [choice("", "stop")]})))).choices
    told = whole["logprobs"]["content"]
    assert [(token["token"], token["bytes"]) for token in told] == [("a", [97]), ("é", [195, 169])]
    assert [[top["token"] for top in token["top_logprobs"]] for token in told] == [["a", "c"], ["é", "c"]]
