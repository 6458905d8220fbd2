"""Under `frames` an answer says which pictures were sent and what they cost there, which is not what the plan fed the base."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.serve.openai_upstream import UpstreamProcess
from tests.serve.questions import first_questions
from tests.serve.running_server import RunningServer, running_server
from tests.serve.world_questions import streamed
from videorouter.routers.cost.picture_names import PICTURE_COSTS

COST = PICTURE_COSTS["qwen2_5_vl"]
FRAMES = 32


@pytest.fixture(scope="module")
def server(world: Path, upstream: UpstreamProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("sent")
    options = ["--engine", "frames", "--upstream", upstream.address, "--media_root", str(world)]
    options += ["--upstream_pictures", "qwen2_5_vl", "--frames", str(FRAMES), "--log", str(folder / "log")]
    with running_server(folder, *options) as started:
        yield started


def pictures(messages: list[dict[str, Any]]) -> list[tuple[int, int]]:
    """(height, width) of those that the upstream was sent."""
    urls = [part["image_url"]["url"] for part in messages[0]["content"] if part["type"] == "image_url"]
    opened = [Image.open(io.BytesIO(base64.b64decode(url.partition("base64,")[2]))) for url in urls]
    return [(picture.height, picture.width) for picture in opened]


@pytest.mark.parametrize("wanted", [{"system": "dense", "budget": 20}, {"budget": 100}])
def test_an_answer_says_which_pictures_were_sent(
    server: RunningServer, upstream: UpstreamProcess, world: Path, wanted: dict[str, Any]
) -> None:
    body = first_questions(world, 1)[0] | {"videorouter": wanted}
    fed = server.metric("videorouter_visual_tokens_fed_total")
    spared = server.metric("videorouter_visual_tokens_spared_total")
    routing = server.chat(body).json()["videorouter"]
    sizes = pictures(upstream.asked()[-1])
    sent = routing["sent"]
    assert [(frame["height"], frame["width"]) for frame in sent["frames"]] == sizes
    assert sent["pictures"] == len(sizes) < FRAMES
    assert [frame["tokens"] for frame in sent["frames"]] == [COST.tokens(*size) for size in sizes]
    assert sent["tokens"] == sum(COST.tokens(*size) for size in sizes) <= wanted["budget"]
    kept = Image.open(io.BytesIO(server.get(f"/frames/{routing['video']['sha256']}/{FRAMES}/0").content))
    assert sent["dense_tokens"] == FRAMES * COST.tokens(kept.height, kept.width)
    assert all(routing["frames"][frame["place"]]["second"] == frame["second"] for frame in sent["frames"])
    assert routing["tokens"] == sum(frame["tokens"] for frame in routing["frames"])
    assert server.metric("videorouter_visual_tokens_fed_total") - fed == sent["tokens"]
    saved = sent["dense_tokens"] - sent["tokens"]
    assert server.metric("videorouter_visual_tokens_spared_total") - spared == saved
    assert f'"pictures": {len(sizes)}, "sent_tokens": {sent["tokens"]}' in (server.folder / "log").read_text()
    assert streamed(server.address, body)[0]["videorouter"]["sent"] == sent


def test_what_was_passed_on_as_it_came_says_nothing_of_pictures(server: RunningServer) -> None:
    asked = {"messages": [{"role": "user", "content": "Why?"}]}
    assert "sent" not in server.chat(asked).json()["videorouter"]


def test_fields_that_are_left_out_are_named_in_the_log(server: RunningServer) -> None:
    asked = {"messages": [{"role": "user", "content": "Why?"}], "num_frames": 3, "Who am I?": 1, "echo": True}
    assert server.chat(asked).status_code == 200
    line = (server.folder / "log").read_text().splitlines()[-1]
    assert '"left_out": ["?", "echo", "num_frames"]' in line
    assert "Who" not in line
