"""What is wrong is told to openai-python as the errors that it knows, with the field that is wrong where one is."""

from typing import Any

import openai
import pytest

from tests.serve.chat_bodies import data_url, image, text
from tests.serve.prompts import about, messages, video_part
from tests.serve.serving import KEY, MOST_FRAMES, MOST_MEGABYTES, NAME, Serving

HELLO = messages(text("Hello."))
TENSOR = {"type": "video_embeds", "video_embeds": "AAAA"}
BROKEN = data_url(b"\0\0\0\x18ftypmp42" + bytes(2000), "video/mp4")


@pytest.fixture
def client(serving: Serving) -> openai.OpenAI:
    return openai.OpenAI(base_url=serving.base_url, api_key=KEY, max_retries=0)


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"extra_body": {"videorouter": {"speed": 1}}}, "videorouter.speed"),
        ({"extra_body": {"videorouter": {"budget": 0}}}, "videorouter.budget"),
        ({"extra_body": {"videorouter": {"system": "none"}}}, "videorouter.system"),
        ({"extra_body": {"videorouter": {"system": "dense", "policy": "global"}}}, "videorouter.policy"),
        ({"extra_body": {"videorouter": {"system": "fca+random_drop", "policy": "global"}}}, "videorouter.policy"),
        (
            {"extra_body": {"videorouter": {"system": "videorouter(policy=fragment)", "policy": "global"}}},
            "videorouter.policy",
        ),
        ({"temperature": 3}, "temperature"),
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"tools": [{"type": "function", "function": {"name": "look"}}]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
    ],
)
def test_a_field_that_is_wrong_or_not_possible_is_named(
    client: openai.OpenAI, serving: Serving, more: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model=NAME, messages=about(serving.items(1)[0]), **more)
    assert (raised.value.param, raised.value.type) == (param, "invalid_request_error")
    assert param.rpartition(".")[2] in raised.value.message


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ([TENSOR, text("What is shown?")], "embeddings"),
        ([video_part("file:///etc/passwd"), text("What is shown?")], "media"),
        ([video_part("http://127.0.0.1:9/x.mp4"), text("What is shown?")], "127.0.0.1:9"),
        ([video_part("file:///")], "ask nothing"),
        ([], "empty"),
    ],
)
def test_what_may_not_be_shown_is_refused(client: openai.OpenAI, content: list[Any], told: str) -> None:
    with pytest.raises((openai.BadRequestError, openai.PermissionDeniedError), match=told):
        client.chat.completions.create(model=NAME, messages=messages(*content))


def test_another_model_and_a_file_that_is_not_there_are_not_found(client: openai.OpenAI, serving: Serving) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        client.chat.completions.create(model="gpt-5", messages=HELLO)
    assert (raised.value.code, raised.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model=NAME, messages=about(serving.items(1)[0], "file-0"))
    missing = (serving.world / "videos" / "none.mp4").as_uri()
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model=NAME, messages=about(serving.items(1)[0], missing))


def test_a_wrong_key_is_no_key(serving: Serving) -> None:
    with openai.OpenAI(base_url=serving.base_url, api_key="another", max_retries=0) as stranger:
        with pytest.raises(openai.AuthenticationError):
            stranger.models.list()
        with pytest.raises(openai.AuthenticationError):
            stranger.chat.completions.create(model=NAME, messages=HELLO)


@pytest.mark.parametrize("times", [1.2, 5])
def test_what_is_too_large_is_413_while_it_is_still_sent(client: openai.OpenAI, times: float) -> None:
    size = int(MOST_MEGABYTES * 1_000_000 * times)
    with pytest.raises(openai.APIStatusError) as upload:
        client.files.create(file=("a.mp4", bytes(size)), purpose="user_data")
    with pytest.raises(openai.APIStatusError) as request:
        client.chat.completions.create(model=NAME, messages=messages(text("x" * size)))
    assert [raised.value.status_code for raised in (upload, request)] == [413, 413]


def test_more_frames_than_are_taken_are_413(client: openai.OpenAI, serving: Serving) -> None:
    wishes = {"videorouter": {"frames": MOST_FRAMES + 1}}
    with pytest.raises(openai.APIStatusError, match=f"at most {MOST_FRAMES}") as raised:
        client.chat.completions.create(model=NAME, messages=about(serving.items(1)[0]), extra_body=wishes)
    assert raised.value.status_code == 413


@pytest.mark.parametrize("part", [video_part(BROKEN), image(data_url(b"\x89PNG\r\n\x1a\n" + bytes(50), "image/png"))])
def test_a_video_or_picture_that_cannot_be_decoded_is_422(client: openai.OpenAI, part: dict[str, Any]) -> None:
    with pytest.raises(openai.UnprocessableEntityError) as raised:
        client.chat.completions.create(model=NAME, messages=messages(part, text("What is shown?")))
    assert not any(
        word in raised.value.message for word in ("/tmp", "videorouter-", "passing")
    )  # no path of the server's
