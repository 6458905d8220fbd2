"""Whatever a client sends is understood or refused by one typed error that names the field, and quickly."""

import json
import math
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.serve import chat_bodies as bodies
from tests.serve.chat_bodies import QUESTION, image, picture, text, user
from videorouter.serve.chat.conversation import Pictures
from videorouter.serve.chat.json_limits import DEEPEST, MOST
from videorouter.serve.chat.request import forwarded, parse_chat
from videorouter.serve.chat.upstream import with_pictures
from videorouter.serve.errors import RequestError

VIDEO = {"type": "video_url", "video_url": {"url": "https://a.example/x.mp4"}}
TORCH = "data:application/x-torch;base64,gAJjb3MKc3lzdGVtCg=="
ZIPPED = "data:image/png;base64,UEsDBAAAAAAAAAAAAAAAAAAAAAAAAAAA"


def nested(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


def asking(**more: Any) -> dict[str, Any]:
    return {"model": "router", "messages": [user(VIDEO, text(QUESTION))], **more}


def showing(*parts: Any) -> dict[str, Any]:
    return {"messages": [user(text("x")), user(*parts, text(QUESTION))]}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (None, None),
        ([], None),
        ("text", None),
        ({}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": {"role": "user"}}, "messages"),
        ({"messages": ["x"]}, "messages[0]"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "root", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": []}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content"),
        (showing(3), "messages[1].content[0]"),
        (showing({}), "messages[1].content[0].type"),
        (showing({"type": "hologram"}), "messages[1].content[0].type"),
        (showing({"type": ["text"]}), "messages[1].content[0].type"),
        (showing({"type": "text"}), "messages[1].content[0].text"),
        (showing({"type": "text", "text": 3}), "messages[1].content[0].text"),
        (showing({"type": "video_url"}), "messages[1].content[0].video_url.url"),
        (showing({"type": "video_url", "video_url": {}}), "messages[1].content[0].video_url.url"),
        (showing({"type": "video_url", "video_url": {"url": 3}}), "messages[1].content[0].video_url.url"),
        (showing({"type": "video_url", "video_url": {"url": " "}}), "messages[1].content[0].video_url.url"),
        (showing({"type": "video_url", "video_url": None, "uuid": "x"}), "messages[1].content[0].video_url.url"),
        (showing({"type": "video_url", "video_url": []}), "messages[1].content[0].video_url"),
        (showing({"type": "video", "video": [3]}), "messages[1].content[0].video"),
        (showing({**VIDEO, "uuid": 3}), "messages[1].content[0].uuid"),
        (showing({"type": "file", "file": {}}), "messages[1].content[0].file"),
        (showing({"type": "text", "text": "x", "video_url": "http://x"}), "messages[1].content[0].video_url"),
        (showing({**VIDEO, "image_url": "http://x"}), "messages[1].content[0].image_url"),
        ({"messages": [user(VIDEO)]}, "messages"),
        ({"messages": [user(VIDEO, text(" \n"))]}, "messages"),
        (asking(model=3), "model"),
        (asking(model=""), "model"),
        (asking(model="x" * 1000), "model"),
        (asking(stream="yes"), "stream"),
        (asking(stream_options={"include_usage": True}), "stream_options"),
        (asking(stream=True, stream_options=True), "stream_options"),
        (asking(stream=True, stream_options={"include_usage": 1}), "stream_options.include_usage"),
        (asking(max_tokens=0), "max_tokens"),
        (asking(max_tokens=True), "max_tokens"),
        (asking(max_tokens=1.5), "max_tokens"),
        (asking(max_completion_tokens=2**40), "max_completion_tokens"),
        (asking(temperature="hot"), "temperature"),
        (asking(temperature=-1), "temperature"),
        (asking(temperature=math.nan), "temperature"),
        (asking(temperature=10**400), "temperature"),
        (asking(top_p=1.5), "top_p"),
        (asking(seed=2**63), "seed"),
        (asking(seed=2**64), "seed"),
        (asking(n=0), "n"),
        (asking(n=1000), "n"),
        (asking(stop=3), "stop"),
        (asking(stop=[""]), "stop"),
        (asking(stop=["x"] * 100), "stop"),
        (asking(media_io_kwargs=3), "media_io_kwargs"),
        (asking(media_io_kwargs={"video": 3}), "media_io_kwargs.video"),
        (
            bodies.vllm_frames() | {"media_io_kwargs": {"video": {"frames_indices": [0]}}},
            "media_io_kwargs.video.frames_indices",
        ),
        (bodies.vllm_frames() | {"media_io_kwargs": {"video": {"fps": 0}}}, "media_io_kwargs.video.fps"),
        (asking(media_io_kwargs={"video": {"num_frames": 32.0}}), "media_io_kwargs.video.num_frames"),
        (asking(media_io_kwargs={"video": {"num_frames": -2}}), "media_io_kwargs.video.num_frames"),
        (asking(videorouter=3), "videorouter"),
        (asking(videorouter={"speed": 3}), "videorouter.speed"),
        (asking(videorouter={"budget": 0}), "videorouter.budget"),
        (asking(videorouter={"budget": 2.5}), "videorouter.budget"),
        (asking(videorouter={"policy": "both"}), "videorouter.policy"),
        (asking(videorouter={"frames": -1}), "videorouter.frames"),
        (asking(videorouter={"question": ""}), "videorouter.question"),
        (asking(videorouter={"system": {}}), "videorouter.system"),
        (asking(tools=[{"x": math.inf}]), "tools[0].x"),
        (asking(tools=[{"x": -(2**70)}]), "tools[0].x"),
        (asking(user="\ud800"), "user"),
        (asking(user=b"x"), "user"),
        (asking(metadata={3: "x"}), "metadata"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(body: Any, param: str | None) -> None:
    with pytest.raises(RequestError) as raised:
        parse_chat(body)
    assert raised.value.param == param
    assert raised.value.status == 400
    assert (param or "body") in raised.value.message
    assert len(raised.value.message) < 400
    json.dumps(raised.value.body()).encode()


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (asking(prompt_embeds="AAAA"), "prompt_embeds"),
        (asking(Image_Embeds=None), "Image_Embeds"),
        (asking(mm_processor_kwargs={"a": [{"image_embeds": "AAAA"}]}), "mm_processor_kwargs.a[0].image_embeds"),
        (asking(media_io_kwargs={"video": {"video_embeds": 1}}), "media_io_kwargs.video.video_embeds"),
        (asking(precomputed_embeddings=[1]), "precomputed_embeddings"),
        (showing({"type": "image_embeds", "data": "AAAA"}), "messages[1].content[0]"),
        (showing({"type": "prompt_embeds", "data": "AAAA"}), "messages[1].content[0]"),
        (
            showing({"type": "text", "text": "x", "uuid": "y", "audio_embeds": "AAAA"}),
            "messages[1].content[0].audio_embeds",
        ),
        (showing(image(TORCH)), "messages[1].content[0].image_url.url"),
        (showing(image(ZIPPED)), "messages[1].content[0].image_url.url"),
        (showing({"type": "video_url", "video_url": TORCH}), "messages[1].content[0].video_url"),
    ],
)
def test_embeddings_are_refused_wherever_they_stand(body: Any, param: str) -> None:
    with pytest.raises(RequestError, match=r"embeddings|deserialised") as raised:
        parse_chat(body)
    assert raised.value.param == param


LABELS = st.sampled_from(["0:01", "0:02", "<1.0 seconds>", "Frame-1: ", "a\n[3s]", "Frame 2 (1s)\nb", "Why?", " ", ""])
SHOWING = st.builds(text, LABELS) | st.builds(image, st.sampled_from([picture(1), picture(2)]))
TURNS = st.builds(lambda role, said: {"role": role, "content": said}, st.sampled_from(["user", "assistant"]), LABELS)
TALKS = st.builds(
    lambda before, parts, after: {"messages": [*before, user(*parts), *after]},
    st.lists(TURNS, max_size=2),
    st.lists(SHOWING, min_size=1, max_size=10) | st.permutations([VIDEO, text("Why?"), VIDEO, text("0:01"), "So?"]),
    st.lists(TURNS, max_size=2),
)


@settings(max_examples=400, deadline=1000)
@given(TALKS)
def test_nothing_that_is_said_is_lost_or_said_twice(body: dict[str, Any]) -> None:
    request, refused = None, None
    try:
        request = parse_chat(body)
    except RequestError as error:
        refused = error
    if request is None:
        assert refused is not None
        assert "ask nothing about it" in refused.message
        return
    if request.shown is None:
        assert request.unrouted == "no video"
        return
    between: tuple[str, ...] = ()
    if isinstance(request.shown, Pictures):
        frames, between = len(request.shown.urls), request.shown.between
        assert (request.unrouted == "one picture") == (frames == 1)
        assert (len(between), between[-1]) == (frames + 1, "")
        seconds = request.shown.seconds or ()
        assert len(seconds) in (0, frames)
        assert list(seconds) == sorted(seconds)
    messages = with_pictures(request, [(None, "x")])
    sent = "".join(part if isinstance(part, str) else part.get("text", "") for part in _parts(messages))
    said = "".join(
        [*(words for _, words in (*request.dialogue.before, *request.dialogue.after)), *between, request.text]
    )
    assert sorted("".join(sent.split())) == sorted("".join(said.split()))


def _parts(messages: list[dict[str, Any]]) -> list[Any]:
    return [
        part
        for message in messages
        for part in ([message["content"]] if isinstance(message["content"], str) else message["content"])
    ]


def test_values_are_counted() -> None:
    assert parse_chat(asking(metadata=[0] * (MOST - 100))).more["metadata"]
    with pytest.raises(RequestError, match="more than 200000 values"):
        parse_chat(asking(metadata=[[0] * 1000] * (MOST // 1000)))


def test_nesting_has_an_end() -> None:
    assert parse_chat(asking(metadata=nested(DEEPEST - 1))).more["metadata"]
    with pytest.raises(RequestError, match="levels deep"):
        parse_chat(asking(metadata=nested(DEEPEST)))
    with pytest.raises(RequestError, match="levels deep"):
        parse_chat(nested(100_000))
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(RequestError, match="levels deep"):
        parse_chat(asking(metadata=endless))


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
KEYS = st.sampled_from(
    [
        *("type", "text", "role", "content", "url", "video_url", "image_url", "video", "file", "file_data", "file_id"),
        *(
            "data",
            "base64",
            "uuid",
            "fps",
            "input_video",
            "source_type",
            "mime_type",
            "format",
            "id",
            "refusal",
            "user",
        ),
    ]
) | st.text(max_size=5)
URLS = st.sampled_from(
    [
        *(
            picture(1),
            TORCH,
            ZIPPED,
            "data:",
            "data:,",
            "data:;base64",
            "data:video/jpeg;base64,,,",
            "http://[",
            "x.mp4",
        ),
        *("data:video/jpeg;base64,AAAA,BBBB", "data:video/mp4;base64,\u00e9", "file://", " "),
    ]
)
JSON = st.recursive(
    SCALARS | URLS | st.sampled_from(["text", "video_url", "image_url", "user", "assistant", "0:12", "<1.0 seconds>"]),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=25,
)
PARTS = (
    st.builds(image, URLS)
    | st.builds(text, st.text(max_size=8) | st.sampled_from(["0:01", "0:02", "Frame-1: ", "a\n[3s]"]))
    | st.fixed_dictionaries(
        {"type": st.sampled_from(["video_url", "video", "file", "image"])}, optional={"video": JSON, "file": JSON}
    )
    | JSON
)
MESSAGES = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["user", "assistant", "system", "tool"]) | JSON,
        "content": st.lists(PARTS, max_size=6) | JSON,
    }
)
FIELDS = st.dictionaries(
    st.sampled_from(
        [
            *("model", "stream", "stream_options", "max_tokens", "temperature", "top_p", "seed", "stop", "n"),
            *("videorouter", "media_io_kwargs", "tools", "x"),
        ]
    ),
    JSON,
    max_size=3,
)
BODIES = st.builds(
    lambda messages, fields: {"messages": messages, **fields}, st.lists(MESSAGES, max_size=4) | JSON, FIELDS
)


@settings(max_examples=600, deadline=1000)
@given(JSON | BODIES)
def test_any_json_is_understood_or_refused(body: Any) -> None:
    try:
        request = parse_chat(body)
    except RequestError as error:
        json.dumps(error.body()).encode()
        return
    json.dumps(forwarded(request), allow_nan=False).encode()
    if request.shown is not None:
        json.dumps(with_pictures(request, [(1.0, "data:image/png;base64,A")], [0])).encode()


def test_the_end_of_an_endless_prompt_is_read() -> None:
    said = "1 - 2: He speaks.\n" * 100_000 + f"{QUESTION}\nA. Yes\nB. No"
    assert parse_chat({"messages": [user(VIDEO, text(said))]}).options == ("Yes", "No")


def seconds_of(body: Any) -> float:
    """Of this process alone: others may keep the machine busy."""
    start = time.process_time()
    try:
        request = parse_chat(body)
        if request.shown is not None:
            with_pictures(request, [(0.0, "x")] * 64)
    except RequestError:
        pass
    return time.process_time() - start


@pytest.mark.parametrize(
    "body",
    [
        {
            "messages": [
                user(*(image(f"data:image/png;base64,{'A' * 500}{number}") for number in range(10_000)), text("Why?"))
            ]
        },
        {
            "messages": [
                user(*[part for number in range(5000) for part in (text(f"<{number}.0 seconds>"), image("x" * 900))])
            ]
        },
        {"messages": [user(*(text("A. " + "x " * 250) for _ in range(10_000)))]},
        {"messages": [user(*(text("?") for _ in range(10_000)), VIDEO)]},
        {"messages": [{"role": "user", "content": "x" * 500}] * 10_000},
        {"messages": [user(VIDEO)] * 10_000 + [user(text("Why?"))]},
        {"messages": [user(VIDEO, text("A. x" + " " * 5_000_000 + "y\nB. z"))]},
        {"messages": [user(VIDEO, text("Options" + " " * 5_000_000 + "y"))]},
        {"messages": [user(VIDEO, text("q\n" + "Answer" + " " * 5_000_000 + ":("))]},
        {"messages": [user(VIDEO, text("answer the question" + " .: " * 1_000_000))]},
        {"messages": [user(VIDEO, text("A. x\n" * 1_000_000))]},
        {"messages": [user(image("a"), text("[" * 5_000_000), image("b"), text("Why?"))]},
        {"messages": [user(image("a"), text(" " * 5_000_000), image("b"), text("Frame-1: " + " " * 5_000_000))]},
        asking(
            media_io_kwargs={"video": {}},
            messages=[user({"type": "video_url", "video_url": "data:video/jpeg;base64," + "," * 1_000_000}, "?")],
        ),
        asking(metadata=[[]] * 1_000_000),
        asking(stop="\u00e9" * 5_000_000),
    ],
)
def test_five_megabytes_of_anything_take_less_than_a_second(body: Any) -> None:
    assert any(seconds_of(body) < 1.0 for _ in range(2))
