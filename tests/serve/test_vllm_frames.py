"""Chosen frames as pictures to a real vLLM: what they cost there is what was reckoned, for tiles of one size and for pixels."""

import base64
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import pytest
from PIL import Image
from transformers import AutoConfig, Qwen2_5_VLForConditionalGeneration

from tests.loopback.recording import Recording, recording
from tests.loopback.vllm import vllm_server
from tests.routers.published_layouts import write_layout
from tests.serve.server_process import server_process
from tests.serve.world_questions import WorldQuestions, answered, post, streamed
from videorouter.miniature.bases import ROBUST
from videorouter.routers.cost.picture_names import PICTURE_COSTS, picture_cost_of

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def recorded(shipped_vllm: str) -> Iterator[Recording]:
    """That vLLM, and what it was asked."""
    with recording(shipped_vllm) as found:
        yield found


@contextmanager
def frames_server(folder: Path, asked: WorldQuestions, upstream: str, *options: str) -> Iterator[str]:
    """Our server in front of `upstream`, which is sent pictures."""
    shared = ("--base", str(ROBUST), "--engine", "frames", "--upstream", upstream, "--media_root", str(asked.folder))
    with server_process(folder, *shared, *options) as address:
        yield address


@pytest.fixture(scope="module")
def shown(recorded: Recording, asked: WorldQuestions, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Our server in front of the shipped base, which has one tile of 16 tokens for every picture."""
    with frames_server(tmp_path_factory.mktemp("frames"), asked, recorded.address) as address:
        yield address


def pictures(body: dict[str, Any]) -> list[Image.Image]:
    """Those of a request."""
    urls = [part["image_url"]["url"] for part in body["messages"][0]["content"] if part["type"] == "image_url"]
    return [Image.open(io.BytesIO(base64.b64decode(url.partition("base64,")[2]))) for url in urls]


def text_tokens(upstream: str, body: dict[str, Any]) -> int:
    """What an engine charges for the texts of a request, as its own template words it."""
    parts = [part for part in body["messages"][0]["content"] if part["type"] == "text"]
    asked = {"model": body["model"], "messages": [{"role": "user", "content": parts}]}
    response = httpx2.post(f"{upstream.removesuffix('/v1')}/tokenize", json=asked, timeout=30)
    return int(response.json()["count"])


@pytest.mark.parametrize("budget", [265, 100])
def test_pictures_in_tiles_cost_what_was_reckoned_and_are_fewer(
    shown: str, recorded: Recording, asked: WorldQuestions, budget: int
) -> None:
    cost = picture_cost_of(str(ROBUST))
    for number in (0, 1):
        made = answered(shown, asked.body(number, max_tokens=8, videorouter={"budget": budget}))
        sent = pictures(recorded.bodies[-1])
        charged = sum(cost.tokens(picture.height, picture.width) for picture in sent)
        assert charged == 16 * len(sent) <= budget
        assert len(sent) == budget // 16
        around = 3 * len(sent)  # <img>, </img> and a line break
        texts = text_tokens(recorded.upstream, recorded.bodies[-1])
        assert made["usage"]["prompt_tokens"] == texts + charged + around
        assert made["choices"][0]["message"]["content"]


def test_pictures_have_their_seconds_before_them(shown: str, recorded: Recording, asked: WorldQuestions) -> None:
    made = answered(shown, asked.body(0, max_tokens=8, videorouter={"budget": 160}))
    parts = recorded.bodies[-1]["messages"][0]["content"]
    told = {frame["second"]: frame["tokens"] for frame in made["videorouter"]["frames"]}
    seconds = [
        float(re.search(r"([0-9.]+) seconds", before["text"])[1])  # type: ignore[index]
        for before, part in pairwise(parts)
        if part["type"] == "image_url"
    ]
    assert len(seconds) == 10
    assert seconds == sorted(seconds)
    nearest = [min(told, key=lambda second: abs(second - shown_at)) for shown_at in seconds]
    assert all(told[second] for second in nearest)


def test_a_stream_is_the_upstreams(shown: str, asked: WorldQuestions) -> None:
    body = asked.body(3, max_tokens=8, videorouter={"budget": 265})
    whole = answered(shown, body)
    *chunks, last = streamed(shown, body | {"stream_options": {"include_usage": True}})
    assert all(chunk["choices"] for chunk in chunks)
    text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)
    assert text == whole["choices"][0]["message"]["content"]
    assert last["usage"]["prompt_tokens"] == whole["usage"]["prompt_tokens"]


@pytest.mark.parametrize("system", ["vidcom2", "random_drop", "adapttoken"])
def test_systems_that_drop_tokens_inside_frames_are_refused(shown: str, asked: WorldQuestions, system: str) -> None:
    response = post(shown, asked.body(0, max_tokens=8, videorouter={"system": system, "budget": 200}))
    assert response.status_code == 400
    assert response.json()["error"]["message"]


def test_several_videos_go_on_as_they_came(shown: str, recorded: Recording, asked: WorldQuestions) -> None:
    body, other = asked.body(0), asked.body(8)
    body["messages"][0]["content"].insert(0, other["messages"][0]["content"][0])
    post(shown, body)
    assert recorded.bodies[-1]["messages"] == body["messages"]


def test_a_vendors_charge_names_its_detail(recorded: Recording, asked: WorldQuestions, tmp_path: Path) -> None:
    with frames_server(tmp_path, asked, recorded.address, "--upstream_pictures", "gpt-4o-low") as address:
        answered(address, asked.body(0, max_tokens=8, videorouter={"budget": 850}))
    parts = [part["image_url"] for part in recorded.bodies[-1]["messages"][0]["content"] if part["type"] == "image_url"]
    assert {part["detail"] for part in parts} == {"low"}
    assert len(parts) == 850 // PICTURE_COSTS["gpt-4o-low"].tokens(64, 64)


def qwen_with_wide_heads(folder: Path) -> Path:
    """A random Qwen2.5-VL in the published layout, its heads 32 wide: vLLM's attention on CPUs knows none of 16."""
    write_layout("Qwen2.5-VL-7B-Instruct", folder)
    config = AutoConfig.from_pretrained(folder)
    config.text_config.num_attention_heads, config.text_config.num_key_value_heads = 3, 1
    config.text_config.rope_parameters["mrope_section"] = [4, 6, 6]
    for file in folder.glob("model*"):
        file.unlink()
    Qwen2_5_VLForConditionalGeneration(config).save_pretrained(folder)
    return folder


def test_pictures_by_their_pixels_cost_what_was_reckoned(asked: WorldQuestions, vllm_log: Path, tmp_path: Path) -> None:
    """The router's base stays the shipped one; pictures are sized for the family that is asked."""
    layout = qwen_with_wide_heads(tmp_path / "qwen")
    cost = picture_cost_of(str(layout))
    with (
        vllm_server(layout, vllm_log, "--limit-mm-per-prompt", '{"image": 64}') as upstream,
        recording(upstream) as recorded,
        frames_server(tmp_path, asked, recorded.address, "--upstream_pictures", str(layout)) as address,
    ):
        for budget in (265, 600):
            made = answered(address, asked.body(0, max_tokens=4, videorouter={"budget": budget}))
            sent = pictures(recorded.bodies[-1])
            charged = sum(cost.tokens(picture.height, picture.width) for picture in sent)
            assert 0.5 * budget < charged <= budget
            around = 2 * len(sent)  # <|vision_start|> and <|vision_end|>
            assert made["usage"]["prompt_tokens"] == text_tokens(upstream, recorded.bodies[-1]) + charged + around
            assert len({picture.size for picture in sent}) > 1 or made["videorouter"]["policy"] == "global"
