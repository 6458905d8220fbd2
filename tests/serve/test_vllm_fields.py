"""Every field of a chat request either does in front of a real vLLM what it says, or is refused by name; none ends the engine."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from tokenizers import Tokenizer

from tests.serve.world_questions import WorldQuestions, answered, metric, post, streamed
from videorouter.miniature.bases import ROBUST

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(600)]
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
SCHEMA = {
    "type": "object", "properties": {"answer": {"enum": ["A", "B"]}}, "required": ["answer"], "additionalProperties": False,
}  # fmt: skip
NO_END = {"logit_bias": {"2": -100}}
"""The end token is kept off, so that a base that says one letter goes on."""
AS_SCHEMA = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}


@pytest.fixture(autouse=True)
def engine(shipped_vllm: str) -> Iterator[str]:
    """The engine's address; it is well after every test, and nothing is left running in it."""
    address = shipped_vllm.removesuffix("/v1")
    yield address
    assert httpx2.get(f"{address}/health", timeout=30).status_code == 200
    assert metric(address, "vllm:num_requests_running") == 0


def said(made: dict[str, Any], index: int = 0) -> str:
    """The text of one of the answers."""
    return str(made["choices"][index]["message"]["content"])


def ids_of(text: str) -> list[int]:
    """As the served base reads it."""
    return list(Tokenizer.from_file(str(ROBUST / "tokenizer.json")).encode(text).ids)


def test_n_answers_differ_and_one_seed_gives_them_again(routed: str, asked: WorldQuestions) -> None:
    body = asked.body(0, n=3, temperature=2.0, seed=5, max_tokens=12, ignore_eos=True)
    made = answered(routed, body)
    texts = [said(made, index) for index in range(3)]
    assert [choice["index"] for choice in made["choices"]] == [0, 1, 2]
    assert len(set(texts)) == 3
    assert made["usage"]["completion_tokens"] == 36
    assert [said(answered(routed, body), index) for index in range(3)] == texts
    assert [said(answered(routed, body | {"seed": 6}), index) for index in range(3)] != texts


def test_n_answers_are_streamed_side_by_side(routed: str, asked: WorldQuestions) -> None:
    body = asked.body(0, n=2, temperature=2.0, seed=5, max_tokens=12, ignore_eos=True)
    texts, ended = {0: "", 1: ""}, dict[int, str]()
    for choice in (choice for chunk in streamed(routed, body) for choice in chunk["choices"]):
        texts[choice["index"]] += choice["delta"].get("content") or ""
        if choice["finish_reason"]:
            ended[choice["index"]] = choice["finish_reason"]
    whole = answered(routed, body)
    assert list(texts.values()) == [said(whole, 0), said(whole, 1)]
    assert ended == {0: "length", 1: "length"}


def test_several_greedy_answers_are_refused_in_the_engines_words(routed: str, asked: WorldQuestions) -> None:
    response = post(routed, asked.body(0, n=2, max_tokens=4))
    assert response.status_code == 400
    assert "greedy" in response.json()["error"]["message"]


@pytest.mark.parametrize("penalty", ["presence_penalty", "frequency_penalty"])
def test_penalties_count_what_was_written(routed: str, asked: WorldQuestions, penalty: str) -> None:
    body = asked.body(0, max_tokens=24, **NO_END)
    plain, kept_off = said(answered(routed, body)), said(answered(routed, body | {penalty: 2.0}))
    assert len(set(ids_of(kept_off))) > len(set(ids_of(plain)))


def test_log_probabilities_have_the_form_of_a_chat(routed: str, asked: WorldQuestions) -> None:
    body = asked.body(0, max_tokens=4, logprobs=True, top_logprobs=3)
    made = answered(routed, body)
    content = made["choices"][0]["logprobs"]["content"]
    assert "".join(token["token"] for token in content).startswith(said(made))
    assert len(content) == made["usage"]["completion_tokens"]
    for token in content:
        tops = token["top_logprobs"]
        assert len(tops) == 3
        assert tops == sorted(tops, key=lambda top: -top["logprob"])
        assert {name: tops[0][name] for name in ("token", "logprob")} == {
            name: token[name] for name in ("token", "logprob")
        }
        assert bytes(token["bytes"]).decode() == token["token"]
    parts = [choice["logprobs"] for chunk in streamed(routed, body) for choice in chunk["choices"]]
    tokens = [token["token"] for part in parts if part for token in part["content"]]
    assert tokens == [token["token"] for token in content]
    alone = answered(routed, asked.body(0, max_tokens=4, logprobs=True))["choices"][0]["logprobs"]["content"]
    assert all(token["top_logprobs"] == [] for token in alone)


@pytest.mark.parametrize("format_asked", [AS_SCHEMA, {"type": "json_object"}])
def test_answers_have_the_format_that_was_asked_for(
    routed: str, asked: WorldQuestions, format_asked: dict[str, Any]
) -> None:
    # A base this small would write blanks for ever: they are kept off by a penalty that only what was written decides.
    body = asked.body(0, response_format=format_asked, max_tokens=200, frequency_penalty=2.0, presence_penalty=2.0)
    made = answered(routed, body)
    assert said(made).lstrip().startswith("{")
    if format_asked is AS_SCHEMA and made["choices"][0]["finish_reason"] == "stop":
        assert json.loads(said(made))["answer"] in ("A", "B")


def test_one_of_several_texts_is_all_that_may_be_said(routed: str, asked: WorldQuestions) -> None:
    made = answered(routed, asked.body(0, structured_outputs={"choice": ["yes", "no"]}, max_tokens=8))
    assert said(made) in ("yes", "no")
    pattern = answered(routed, asked.body(0, structured_outputs={"regex": "[xy]{3}"}, max_tokens=8))
    assert set(said(pattern)) <= {"x", "y"}
    assert len(said(pattern)) == 3


def test_stop_texts_and_least_tokens(routed: str, asked: WorldQuestions) -> None:
    body = asked.body(0, max_tokens=16, min_tokens=16)
    whole = answered(routed, body)
    assert whole["usage"]["completion_tokens"] == 16
    assert whole["choices"][0]["finish_reason"] == "length"
    body = asked.body(0, max_tokens=16, **NO_END)
    stop = said(answered(routed, body))[3:5]
    cut = answered(routed, body | {"stop": [stop]})
    assert cut["choices"][0]["finish_reason"] == "stop"
    assert stop not in said(cut)
    assert said(answered(routed, body | {"stop": [stop], "include_stop_str_in_output": True})).startswith(said(cut))


def test_sampling_follows_its_fields(routed: str, asked: WorldQuestions) -> None:
    body = asked.body(0, max_tokens=10, **NO_END)
    greedy = said(answered(routed, body))
    for narrow in ({"top_k": 1}, {"top_p": 0.01}, {"min_p": 1.0}):
        assert said(answered(routed, body | {"temperature": 2.0, "seed": 1, **narrow})) == greedy
    assert said(answered(routed, body | {"temperature": 2.0, "seed": 1})) != greedy


def test_single_tokens_are_wanted_kept_off_and_allowed(routed: str, asked: WorldQuestions) -> None:
    body = asked.body(0, max_tokens=1)
    usual = said(answered(routed, body))
    [token], [other] = ids_of(usual), ids_of("A" if usual != "A" else "B")
    assert said(answered(routed, body | {"logit_bias": {str(token): -100}})) != usual
    assert ids_of(said(answered(routed, body | {"logit_bias": {str(other): 100}}))) == [other]
    assert ids_of(said(answered(routed, body | {"allowed_token_ids": [other]}))) == [other]
    assert said(answered(routed, body | {"bad_words": [usual]})) != usual


@pytest.mark.parametrize(
    "field",
    [
        {"repetition_penalty": 1.2},
        {"tools": [TOOL]},
        {"tools": [TOOL], "tool_choice": "required"},
        {"functions": [TOOL["function"]]},
        {"guided_regex": "a"},
        {"return_token_ids": True},
        {"logprob_token_ids": [3]},
        {"continue_final_message": True},
        {"chat_template_kwargs": {"enable_thinking": True}},
        {"audio": {"voice": "alloy", "format": "wav"}},
        {"web_search_options": {}},
        {"length_penalty": 2.0},
        {"top_logprobs": 2},
    ],
    ids=lambda field: "+".join(field),
)
def test_what_a_prompt_of_embeddings_cannot_have_is_refused_by_name(
    routed: str, asked: WorldQuestions, field: dict[str, Any]
) -> None:
    error = post(routed, asked.body(0, max_tokens=4, **field)).json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["param"] in field
    assert error["param"] in error["message"]


@pytest.mark.parametrize(
    "field",
    [
        {"response_format": {"type": "yaml"}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "objekt"}}}},
        {"structured_outputs": {"regex": "(("}},
        {"structured_outputs": {"choice": []}},
        {"logit_bias": {"99999": 1}},
        {"logit_bias": {"word": 1}},
        {"allowed_token_ids": [99999]},
        {"stop_token_ids": [-3]},
        {"bad_words": [""]},
        {"min_tokens": 60},
        {"top_k": -7, "temperature": 1.0},
        {"min_p": 2.0, "temperature": 1.0},
        {"frequency_penalty": 5.0},
        {"logprobs": True, "top_logprobs": 25},
        {"logprobs": True, "top_logprobs": "many"},
        {"n": 2},
    ],
    ids=str,
)
def test_values_that_the_engine_refuses_are_said_in_its_words(
    routed: str, asked: WorldQuestions, field: dict[str, Any]
) -> None:
    response = post(routed, asked.body(0, max_tokens=8, **field))
    assert response.status_code == 400
    assert response.json()["error"]["message"]


@pytest.mark.parametrize(
    "field",
    [
        {"tools": []}, {"tool_choice": "auto"}, {"parallel_tool_calls": True}, {"response_format": {"type": "text"}},
        {"repetition_penalty": 1.0}, {"user": "someone"}, {"metadata": {"a": "b"}}, {"n": 1}, {"logprobs": False},
        {"store": False}, {"service_tier": "auto"}, {"modalities": ["text"]}, {"reasoning_effort": "low"},
    ],
    ids=lambda field: "+".join(field),
)  # fmt: skip
def test_fields_that_ask_for_nothing_change_nothing(routed: str, asked: WorldQuestions, field: dict[str, Any]) -> None:
    usual = asked.body(1, max_tokens=8)
    assert said(answered(routed, usual | field)) == said(answered(routed, usual))
