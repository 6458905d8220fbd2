"""Only systems that can be asked are offered, and a server whose own defaults can answer nothing does not start."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serve.openai_upstream import UpstreamProcess
from tests.serve.questions import first_questions
from tests.serve.running_server import SHIPPED, RunningServer, running_server
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.cost.picture_names import PICTURE_COSTS
from videorouter.serve.askable import check_defaults
from videorouter.serve.config import ServeConfig

READ_ATTENTION = {"adapttoken", "adapttoken_lite", "attention_topk"}
DROP_TOKENS = READ_ATTENTION | {"vidcom2", "random_drop", "fca+random_drop"}


@pytest.fixture(scope="module")
def early() -> VideoRouter:
    return VideoRouter.from_pretrained(SHIPPED, early_layers=4)


@pytest.fixture(scope="module")
def whole() -> VideoRouter:
    return VideoRouter.from_pretrained(SHIPPED)


def config(**options: Any) -> ServeConfig:
    """Of a server in front of an upstream that is sent pictures, unless said otherwise."""
    usual = {"model": str(SHIPPED), "engine": "frames", "upstream": "http://127.0.0.1:9/v1"}
    return ServeConfig(**usual | options)


@pytest.mark.parametrize("system", sorted(DROP_TOKENS))
def test_systems_that_drop_tokens_are_no_default_where_pictures_are_sent(whole: VideoRouter, system: str) -> None:
    with pytest.raises(ValueError, match=rf"^{system.replace('+', '.')} drops tokens inside frames"):
        check_defaults(config(system=system), whole, PICTURE_COSTS["internvl"])
    check_defaults(config(system=system, engine="vllm"), whole, None)


@pytest.mark.parametrize("system", sorted(READ_ATTENTION))
def test_systems_that_read_attention_are_no_default_of_an_early_base(early: VideoRouter, system: str) -> None:
    with pytest.raises(ValueError, match="--whole_base"):
        check_defaults(config(system=system, engine="vllm"), early, None)


def test_a_budget_that_pays_for_no_picture_is_no_default(early: VideoRouter) -> None:
    with pytest.raises(ValueError, match="where one costs 765: give --budget 765 or more"):
        check_defaults(config(budget=100), early, PICTURE_COSTS["gpt-4o"])
    check_defaults(config(budget=765), early, PICTURE_COSTS["gpt-4o"])


@pytest.mark.parametrize(
    ("system", "least"),
    [
        ("videorouter", 16),
        ("videorouter(policy=global)", 4),
        ("fca+videorouter", 16),
        ("frame_budget", 16),
        ("uniform_pooling", 4),
        ("vidcom2", 1),
    ],
)
def test_a_budget_holds_one_frame_as_the_system_keeps_it(whole: VideoRouter, system: str, least: int) -> None:
    own = {"engine": "own", "upstream": None, "system": system}
    check_defaults(config(**own, budget=least), whole, None)
    if least > 1:
        with pytest.raises(ValueError, match=f"give --budget {least} or more"):
            check_defaults(config(**own, budget=least - 1), whole, None)


@pytest.fixture(scope="module", params=["vllm", "frames"])
def server(
    request: pytest.FixtureRequest, world: Path, upstream: UpstreamProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    options = ["--engine", request.param, "--upstream", upstream.address, "--media_root", str(world), "--frames", "8"]
    with running_server(tmp_path_factory.mktemp("askable"), *options) as started:
        yield started


def test_what_is_listed_can_be_asked_and_nothing_else(server: RunningServer, world: Path) -> None:
    told = server.get("/v1/models").json()["data"][0]["videorouter"]
    body = first_questions(world, 1)[0] | {"max_tokens": 4}
    assert {"videorouter", "dense", "uniform_pooling"} <= set(told["systems"])
    for system in told["systems"]:
        answered = server.chat(body | {"videorouter": {"system": system}})
        assert answered.status_code == 200, answered.text
    refused = READ_ATTENTION if told["engine"] == "vllm" else DROP_TOKENS
    assert not refused & set(told["systems"])
    for system in {*refused, "oracle"}:
        answered = server.chat(body | {"videorouter": {"system": system}})
        assert answered.status_code == 400
        assert answered.json()["error"]["param"] == "videorouter.system"
        if told["engine"] == "vllm" and system in READ_ATTENTION:
            assert "--whole_base" in answered.json()["error"]["message"]
