"""What routers read beside every frame is bounded; what the model is asked need not be."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from tests.serve.chat_bodies import text
from tests.serve.prompts import messages, video_part
from tests.serve.serving import NAME, Serving

LONG = "What is shown at the corner? " * 150


def _asked(serving: Serving, said: str, **wishes: Any) -> httpx2.Response:
    video = sorted((serving.world / "videos").iterdir())[0].as_uri()
    body = {"model": NAME, "messages": messages(video_part(video), text(said)), "max_tokens": 4}
    with serving.http() as client:
        return client.post("/v1/chat/completions", json=body | {"videorouter": {"frames": 7} | wishes})


@pytest.mark.parametrize("system", ["videorouter", "fca+videorouter", "adapttoken", "attention_topk"])
def test_a_question_beyond_the_limit_is_refused_before_the_video_is_decoded(serving: Serving, system: str) -> None:
    decoded = serving.count("videorouter_videos_decoded_total")
    for said, wishes, param, way in (
        (LONG, {}, "messages", "give the question alone as extra_body"),
        ("What?", {"question": LONG}, "videorouter.question", "shorten it"),
    ):
        refused = _asked(serving, said, system=system, frames=9, **wishes)
        error = refused.json()["error"]
        assert (refused.status_code, error["param"]) == (400, param)
        assert f"{system} reads at most 512" in error["message"]
        assert way in error["message"]
    assert serving.count("videorouter_videos_decoded_total") == decoded


def test_a_long_prompt_is_answered_with_its_question_alone_or_by_a_system_that_reads_none(serving: Serving) -> None:
    assert _asked(serving, LONG, question="What is shown?").status_code == 200
    for system in ("dense", "frame_budget", "uniform_pooling", "vidcom2", "random_drop"):
        assert _asked(serving, LONG, system=system, budget=64).status_code == 200


def test_others_are_answered_while_a_very_long_question_is_counted(serving: Serving) -> None:
    with ThreadPoolExecutor() as threads, serving.http() as client:
        refused = [threads.submit(_asked, serving, "What?", question="x" * 100_000) for _ in range(4)]
        slowest = 0.0
        while not all(one.done() for one in refused):
            started = time.monotonic()
            assert client.get("/health").status_code == 200
            slowest = max(slowest, time.monotonic() - started)
        assert {one.result().status_code for one in refused} == {400}
        assert slowest < 2
