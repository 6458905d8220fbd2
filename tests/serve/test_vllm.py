"""Questions through our server and a real vLLM behind it, which is sent embeddings: texts are our own runtime's."""

import json
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.serve.server_process import server_process
from tests.serve.world_questions import WorldQuestions, answered, metric, post, streamed
from videorouter.miniature.bases import ROBUST, ROBUST_ROUTER
from videorouter.routers.answering.answer import AskedQuestion
from videorouter.routers.answering.video_router import VideoRouter

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(600)]
BUDGET = {"videorouter": {"budget": 265}}


@pytest.fixture(scope="module")
def own() -> VideoRouter:
    """The router with its base, as our own runtime answers with it."""
    return VideoRouter.from_pretrained(ROBUST_ROUTER, base=str(ROBUST), device="cpu")


def test_texts_and_tokens_are_those_of_our_own_runtime(routed: str, asked: WorldQuestions, own: VideoRouter) -> None:
    rows = asked.rows[:12]
    watched = {video: own.watch(video) for video in {asked.video(row) for row in rows}}
    for number, row in enumerate(rows):
        made = answered(routed, asked.body(number, max_tokens=32, **BUDGET))
        question, seen = AskedQuestion(row["question"], tuple(row["options"])), watched[asked.video(row)]
        expected = own.answer(seen, question.question, question.options, 265)
        prompt = own.route(seen, question, own.system(), 265).prompt(own.backbone)
        choice, usage = made["choices"][0], made["usage"]
        assert choice["message"]["content"] == expected.text
        assert (choice["finish_reason"], usage["prompt_tokens"]) == ("stop", len(prompt))
        ids = own.backbone.tokenizer(expected.text)["input_ids"]
        assert usage["completion_tokens"] == len(ids) + 1  # the end token
        assert made["videorouter"]["tokens"] <= 265 < made["videorouter"]["dense_tokens"]


def test_a_stream_says_what_a_whole_answer_says(routed: str, asked: WorldQuestions) -> None:
    for number in (1, 9):
        body = asked.body(number, max_tokens=24, ignore_eos=True)
        whole = answered(routed, body)
        *chunks, last = streamed(routed, body | {"stream_options": {"include_usage": True}})
        text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)
        assert text == whole["choices"][0]["message"]["content"]
        assert [chunk["choices"][0]["finish_reason"] for chunk in chunks if chunk["choices"][0]["finish_reason"]] == [
            "length"
        ]
        assert (last["choices"], last["usage"]) == ([], whole["usage"])
        assert whole["usage"]["completion_tokens"] == 24


def test_no_chunk_is_without_choices_unless_usage_was_asked_for(routed: str, asked: WorldQuestions) -> None:
    chunks = streamed(routed, asked.body(2, max_tokens=8))
    text_alone = {"messages": [{"role": "user", "content": "Hello?"}], "max_tokens": 4}
    for chunk in [*chunks, *streamed(routed, text_alone)]:
        assert chunk["choices"]
    assert chunks[-1]["videorouter"]["seconds"]["prefill"] > 0


def test_text_alone_is_answered_by_the_upstream(routed: str, shipped_vllm: str) -> None:
    body = {"messages": [{"role": "user", "content": "Which background?"}], "max_tokens": 6, "temperature": 0}
    made = answered(routed, body)
    direct = answered(shipped_vllm.removesuffix("/v1"), body)
    assert made["choices"][0]["message"]["content"] == direct["choices"][0]["message"]["content"]
    assert made["usage"]["prompt_tokens"] == direct["usage"]["prompt_tokens"]
    assert made["videorouter"]["passed_through"] == "no video"


def test_a_client_that_leaves_ends_the_work_upstream(routed: str, shipped_vllm: str, asked: WorldQuestions) -> None:
    engine = shipped_vllm.removesuffix("/v1")
    before = metric(engine, "vllm:generation_tokens_total")
    body = asked.body(0, max_tokens=1024, ignore_eos=True, stream=True)
    with httpx2.stream("POST", f"{routed}/v1/chat/completions", json=body, timeout=60) as response:
        lines = response.iter_lines()
        heard = 0
        while heard < 8:
            heard += next(lines).startswith("data: ")
        assert metric(engine, "vllm:num_requests_running") == 1
    ends = time.monotonic() + 10
    while metric(engine, "vllm:num_requests_running") and time.monotonic() < ends:
        time.sleep(0.05)
    assert metric(engine, "vllm:num_requests_running") == 0
    assert metric(engine, "vllm:generation_tokens_total") - before < 1000
    assert metric(routed, "videorouter_requests_in_work") == 0


def test_the_engines_own_errors_arrive_with_its_status_and_words(routed: str, asked: WorldQuestions) -> None:
    dense = {"system": "dense", "frames": 200, "budget": 10_000}
    for stream in (False, True):
        response = post(routed, asked.body(0, videorouter=dense, max_tokens=8, stream=stream))
        told: dict[str, Any] = _error(response)
        assert "4096" in told["message"]
        assert told["code"] == 400
    text = {"messages": [{"role": "user", "content": "word " * 9000}], "max_tokens": 8}
    assert post(routed, text).status_code == 400
    assert "context length" in _error(post(routed, text))["message"]


def test_several_videos_go_to_the_engine_whose_words_come_back(
    routed: str, asked: WorldQuestions, shipped_vllm: str
) -> None:
    body = asked.body(0)
    content = body["messages"][0]["content"]
    content.insert(0, content[0] | {"video_url": {"url": asked.video(asked.rows[8]).as_uri()}})
    response, direct = post(routed, body), post(shipped_vllm.removesuffix("/v1"), body)
    assert response.status_code == direct.status_code == 400
    assert _error(response)["message"] == _error(direct)["message"]


def test_a_model_that_is_not_served_there_is_said_at_the_start(shipped_vllm: str, tmp_path: Path) -> None:
    options = ("--engine", "vllm", "--upstream", shipped_vllm, "--base", str(ROBUST), "--upstream_model", "another")
    with pytest.raises(AssertionError, match="does not serve 'another'"), server_process(tmp_path, *options):
        pass


def _error(response: httpx2.Response) -> dict[str, Any]:
    """The error of a response, or of the event that a stream ends with."""
    text = response.text
    if text.startswith("data: "):
        event = [line for line in text.splitlines() if line.startswith("data: {") and '"error"' in line][-1]
        text = event.removeprefix("data: ")
        return dict(json.loads(text)["error"])
    return dict(response.json()["error"])
