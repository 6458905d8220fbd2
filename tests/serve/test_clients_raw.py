"""Requests in the form of clients that are no packages here, sent as they send them: bytes over HTTP, with a Bearer key."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from tests.serve import chat_bodies as bodies
from tests.serve.serving import KEY, NAME, Serving


@pytest.fixture(scope="module")
def http(serving: Serving) -> Iterator[httpx2.Client]:
    with serving.http() as client:
        yield client


def answered(http: httpx2.Client, body: dict[str, Any]) -> dict[str, Any]:
    response = http.post("/v1/chat/completions", json=body)
    assert response.status_code == 200, response.text
    return response.json()


def streamed(http: httpx2.Client, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The chunks of a stream, whose events are each one line of data, and whose last is `[DONE]`."""
    with http.stream("POST", "/v1/chat/completions", json=body) as response:
        assert (response.status_code, response.headers["content-type"].partition(";")[0]) == (200, "text/event-stream")
        lines = [line for line in response.iter_lines() if line and not line.startswith(":")]
    assert all(line.startswith("data: ") for line in lines)
    *events, done = (line.removeprefix("data: ") for line in lines)
    assert done == "[DONE]"
    return [json.loads(event) for event in events]


def test_a_video_that_dify_sends_as_a_picture_is_watched_and_its_answer_streamed(http: httpx2.Client) -> None:
    *chunks, usage = streamed(http, bodies.dify())
    assert chunks[0]["videorouter"]["video"]["sampled"] > 0
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert chunks[-1]["choices"][0]["finish_reason"] in ("stop", "length")
    assert (usage["choices"], usage["usage"]["total_tokens"] > 0) == ([], True)


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        (lambda: bodies.vlmevalkit_lmdeploy(64) | {"model": NAME}, [float(place) for place in range(64)]),
        (lambda: bodies.internvl("Frame-{number}: ", 64), [float(place) for place in range(64)]),
        (lambda: bodies.internvl("Frame{number}: ", 64), [float(place) for place in range(64)]),
        (lambda: bodies.lmms_eval(64), [float(place) for place in range(64)]),
        (lambda: bodies.lmms_eval_qwen3(64), [place / 2 for place in range(64)]),
        (lambda: bodies.vllm_frames(64), [2.0 * place for place in range(64)]),
    ],
    ids=["VLMEvalKit", "Frame-1", "Frame1", "lmms-eval", "lmms-eval for Qwen3-VL", "vLLM"],
)
def test_frames_that_evaluation_suites_send_are_routed(
    http: httpx2.Client, serving: Serving, body: Callable[[], dict[str, Any]], seconds: list[float]
) -> None:
    spared = serving.count("videorouter_visual_tokens_spared_total")
    made = answered(http, body() | {"repetition_penalty": 1.0})
    told = made["videorouter"]
    assert made["object"] == "chat.completion"
    assert isinstance(made["choices"][0]["message"]["content"], str)
    assert [frame["second"] for frame in told["frames"]] == seconds
    assert told["tokens"] == sum(frame["tokens"] for frame in told["frames"]) < told["dense_tokens"] / 2
    assert serving.count("videorouter_visual_tokens_spared_total") - spared == told["dense_tokens"] - told["tokens"]


def test_a_video_file_of_lmms_eval_is_sampled_as_it_says(http: httpx2.Client, serving: Serving) -> None:
    body = bodies.lmms_eval_video()
    body["messages"][0]["content"][0]["video_url"]["url"] = serving.items(1)[0].video.as_uri()
    told = answered(http, body)["videorouter"]
    assert (told["video"]["sampled"], told["dense_tokens"]) == (32, 32 * 16)
    assert told["tokens"] < told["dense_tokens"]


@pytest.mark.parametrize("body", [bodies.langchain, bodies.langchain_file])
def test_videos_in_the_blocks_of_langchain_are_watched(http: httpx2.Client, body: Callable[[], dict[str, Any]]) -> None:
    assert answered(http, body())["videorouter"]["video"]["sampled"] > 0


def test_open_webui_lists_models_with_its_key_and_only_with_it(http: httpx2.Client, serving: Serving) -> None:
    listed = http.get("/v1/models").json()
    assert [model["id"] for model in listed["data"]] == [NAME]
    for headers in ({}, {"Authorization": "Bearer none"}, {"Authorization": f"Basic {KEY}"}):
        refused = httpx2.get(f"{serving.base_url}/models", headers=headers)
        assert (refused.status_code, refused.json()["error"]["type"]) == (401, "authentication_error")


def test_open_webui_asks_again_about_a_picture_and_its_answer_is_streamed(http: httpx2.Client) -> None:
    *chunks, usage = streamed(http, bodies.open_webui_chat(bodies.picture(200)))
    assert "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"]).strip()
    assert usage["usage"]["completion_tokens"] > 0


@pytest.mark.parametrize("body", [bodies.open_webui_title, bodies.open_webui_tags])
def test_side_requests_of_open_webui_are_answered_without_routing(
    http: httpx2.Client, body: Callable[[], dict[str, Any]]
) -> None:
    made = answered(http, body())
    assert made["choices"][0]["message"]["content"]
    assert made["videorouter"]["passed_through"] == "no video"
