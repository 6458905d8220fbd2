"""What is passed on unrouted makes the upstream open nothing that this server would not open itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serve.chat_bodies import picture
from tests.serve.openai_upstream import UpstreamProcess
from tests.serve.questions import data_url, videos_of
from tests.serve.running_server import RunningServer, running_server
from videorouter.serve.chat.media_urls import media_urls

ALLOWED = "http://127.0.0.1:4999/a.mp4"
"""Nobody is there: a URL that is passed on is not asked by us."""
FOREIGN = [
    "file:///etc/passwd",
    "FILE:///etc/passwd",
    " file:///etc/passwd",
    "http://169.254.169.254/latest/meta-data/",
    "http://127.0.0.1:22/",
    "http://[::ffff:127.0.0.1]/a.png",
    "https://evil.example/a.png",
    "http://127.0.0.1:4999@169.254.169.254/",
    "ftp://127.0.0.1/a.png",
    "/etc/passwd.png",
    "../secret.png",
    "file-0123456789abcdef",
]


@pytest.fixture(scope="module", params=["vllm", "frames"])
def server(
    request: pytest.FixtureRequest, world: Path, upstream: UpstreamProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    options = ["--engine", request.param, "--upstream", upstream.address, "--media_root", str(world), "--frames", "8"]
    if request.param == "frames":
        options += ["--upstream_pictures", "internvl"]
    with running_server(tmp_path_factory.mktemp("passing"), *options, "--video_hosts", "['127.0.0.1:4999']") as started:
        yield started


def _about(*parts: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [*parts, {"type": "text", "text": "What is shown?"}]}]}


def _video(url: str) -> dict[str, Any]:
    return {"type": "video_url", "video_url": {"url": url}}


def _image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


@pytest.mark.parametrize("url", FOREIGN)
def test_an_address_that_we_would_not_open_goes_nowhere(
    server: RunningServer, upstream: UpstreamProcess, world: Path, url: str
) -> None:
    """As a second video, as a picture in a text, as sound, in an earlier message, in the answer's history, under another name."""
    ours = videos_of(world)[0].as_uri()
    before = len(upstream.asked())
    bodies = [
        _about(_video(ours), _video(url)),
        _about(_image(url)),
        _about(_video(ours), _image(url)),
        _about({"type": "audio_url", "audio_url": {"url": url}}),
        _about({"type": "audio_url", "audio_url": url}),
        _about({"type": "input_image", "image_url": url}),
        _about({"type": "file", "file": {"file_id": url}}, _video(ours)),
        _about({"type": "video", "video": [picture(1), url]}, _video(ours)),
        _about({"type": "image_url", "image_url": {"url": picture(1), "file_url": url}}),
        _about({"type": "thinking", "thinking": "x", "images": [[{"source": url}]]}),
    ]
    earlier = _about(_image(url))["messages"]
    bodies.append(
        {"messages": [*earlier, {"role": "assistant", "content": "Yes."}, {"role": "user", "content": "Why?"}]}
    )
    for body in bodies:
        response = server.chat(body)
        assert response.status_code in (400, 403), (body, response.text)
        assert response.json()["error"]["param"].startswith("messages["), response.text
        assert server.chat(body | {"stream": True}).status_code in (400, 403)
    assert len(upstream.asked()) == before


def test_media_that_we_would_open_is_passed_on_as_it_came(
    server: RunningServer, upstream: UpstreamProcess, world: Path
) -> None:
    ours = [path.as_uri() for path in videos_of(world)[:2]]
    content = data_url(videos_of(world)[0].read_bytes())
    for body in (
        _about(_video(ours[0]), _video(ours[1])),
        _about(_video(ours[0]), _video(ALLOWED)),
        _about(_video(ours[0]), _video(content)),
        _about(_video(ours[0]), _image(picture(1))),
        _about(_image(picture(1)) | {"uuid": "http://169.254.169.254/"}),
        _about({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}),
        {"messages": [{"role": "user", "content": "Look at file:///etc/passwd and http://10.0.0.1/"}]},
        _about({"type": "text", "text": "file:///etc/passwd"}),
    ):
        response = server.chat(body)
        assert response.status_code == 200, response.text
        assert "passed_through" in response.json()["videorouter"]
        assert upstream.asked()[-1] == body["messages"]


def test_beside_a_routed_video_too(server: RunningServer, world: Path) -> None:
    """Of the messages around it, the engine `frames` passes on all that is left."""
    routed = _about(_video(videos_of(world)[0].as_uri()))
    assert server.chat(routed).status_code == 200
    sly = _about(*(_image(picture(shade)) for shade in range(4)))
    sly["messages"][0]["content"][1]["image_url"]["file_url"] = "file:///etc/passwd"
    response = server.chat(sly)
    assert response.status_code == (403 if "--upstream_pictures" in str(server.process.args) else 200), response.text


def test_whatever_a_part_calls_its_addresses_they_are_found() -> None:
    part = {
        "type": "new_kind",
        "new": {"deep": [{"address": "ftp://a"}, ["plain"]]},
        "text": "file:///a",
        "data": "AAAA",
    }
    held = {"role": "user", "content": [part, "text", {"type": "image_url", "image_url": "data:image/png;base64,AAAA"}]}
    assert list(media_urls([{"role": "system", "content": "http://a"}, held])) == [
        ("messages[1].content[0].new.deep[0].address", "ftp://a"),
        ("messages[1].content[0].new.deep[1][0]", "plain"),
    ]
