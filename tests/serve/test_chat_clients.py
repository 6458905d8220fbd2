"""Requests of real clients are understood: what is shown, when, what is asked, what is said around it, and what may travel on."""

from typing import Any

import pytest

from tests.serve import chat_bodies as bodies
from tests.serve.chat_bodies import QUESTION, data_url, image, picture, text, user, video
from videorouter.routers.backbones.layout import Dialogue
from videorouter.serve.chat.content import VideoUrl
from videorouter.serve.chat.conversation import Pictures
from videorouter.serve.chat.request import RoutingRequest, forwarded, parse_chat

OPTIONS = ("He sits down.", "He leaves.", "He waves.", "He sings.")
SECONDS_OF_QWEN3 = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5)


def shown_pictures(body: dict[str, Any]) -> Pictures:
    shown = parse_chat(body).shown
    assert isinstance(shown, Pictures)
    return shown


def test_openai_python_streams_with_usage_and_routes_by_extra_body() -> None:
    request = parse_chat(bodies.openai_python())
    assert request.shown == VideoUrl("https://videos.example/door.mp4")
    assert request.unrouted is None
    assert (request.question, request.options, request.text) == (QUESTION, None, QUESTION)
    assert request.dialogue == Dialogue(system="Be brief.")
    assert (request.stream, request.include_usage, request.max_tokens, request.temperature) == (True, True, 64, 0.0)
    assert request.routing == RoutingRequest(budget=265, policy="fragment")
    assert not request.dropped
    sent = forwarded(request)
    assert "videorouter" not in sent
    assert sent.keys() == bodies.openai_python().keys() - {"videorouter"}


def test_pictures_of_lmms_eval_are_the_frames_of_one_video() -> None:
    request = parse_chat(bodies.lmms_eval())
    assert request.shown == Pictures(tuple(picture(shade) for shade in range(8)), None, ("",) * 9)
    assert (request.question, request.options) == (QUESTION, OPTIONS)
    assert request.text == bodies.VIDEO_MME
    assert (request.max_tokens, request.temperature, request.stream) == (16, 0.0, False)


def test_seconds_of_lmms_eval_for_qwen3_are_read_and_taken_out() -> None:
    request = parse_chat(bodies.lmms_eval_qwen3())
    assert request.shown == Pictures(tuple(picture(shade) for shade in range(8)), SECONDS_OF_QWEN3, ("",) * 9)
    assert request.text == bodies.VIDEO_MME
    assert (request.question, request.options) == (QUESTION, OPTIONS)


def test_a_video_file_of_lmms_eval_is_shown_and_its_engine_fields_kept() -> None:
    request = parse_chat(bodies.lmms_eval_video())
    assert request.shown == VideoUrl("file:///data/videos/door.mp4")
    assert request.num_frames == 32
    assert request.more["media_io_kwargs"] == {"video": {"num_frames": 32}}
    assert request.more["chat_template_kwargs"] == {"enable_thinking": False}


def test_lines_of_vlmevalkit_that_stand_for_pictures_are_taken_out() -> None:
    request = parse_chat(bodies.vlmevalkit_lmdeploy())
    assert isinstance(request.shown, Pictures)
    assert (len(request.shown.urls), request.shown.seconds, request.shown.between) == (8, None, ("",) * 9)
    assert "IMAGE_TOKEN" not in request.text
    assert request.text.strip().startswith("These are the frames of a video.")
    assert (request.question, request.options) == (QUESTION, OPTIONS)


@pytest.mark.parametrize(("told", "wanted"), [({}, None), ({"num_frames": -1}, None), ({"num_frames": 8}, 8)])
def test_num_frames_of_vllm_is_a_number_of_frames_and_minus_one_leaves_it_to_the_server(
    told: dict[str, int], wanted: int | None
) -> None:
    assert parse_chat(bodies.lmms_eval_video() | {"media_io_kwargs": {"video": told}}).num_frames == wanted


@pytest.mark.parametrize("label", ["Frame{number}: ", "Frame-{number}: ", "Frame {number}:"])
def test_numbers_before_frames_are_taken_out(label: str) -> None:
    request = parse_chat(bodies.internvl(label))
    assert isinstance(request.shown, Pictures)
    assert (request.shown.seconds, request.shown.between) == (None, ("",) * 9)
    assert (request.text, request.question) == (f"\n{QUESTION}", QUESTION)


def test_frames_in_one_url_of_vllm_have_the_seconds_of_its_fields() -> None:
    request = parse_chat(bodies.vllm_frames())
    assert isinstance(request.shown, Pictures)
    assert request.shown.urls == tuple(picture(shade, "JPEG") for shade in range(4))
    assert request.shown.seconds == (0.0, 2.0, 4.0, 6.0)
    assert request.dropped == ("chat_template", "priority")
    sent = forwarded(request)
    assert not {"chat_template", "priority"} & sent.keys()
    assert (sent["repetition_penalty"], sent["top_k"]) == (1.05, 20)
    assert {"media_io_kwargs", "mm_processor_kwargs"} <= sent.keys()


def test_a_clients_own_name_of_a_video_is_kept() -> None:
    url = "https://videos.example/door"
    part = {"type": "video_url", "video_url": {"url": url}, "uuid": "door-1"}
    assert parse_chat({"messages": [user(part, text(QUESTION))]}).shown == VideoUrl(url, "door-1")


@pytest.mark.parametrize("mime", ["video/mp4", "image/png", "application/octet-stream", "image/mp4"])
def test_a_video_that_dify_sends_as_a_picture_is_known_by_its_bytes(mime: str) -> None:
    request = parse_chat(bodies.dify(mime))
    assert request.shown == VideoUrl(data_url(video(), mime))
    assert (request.question, request.stop, request.dialogue.system) == (QUESTION, (), "You watch videos.")


def test_blocks_of_langchain_are_read() -> None:
    request = parse_chat(bodies.langchain())
    assert request.shown == VideoUrl(data_url(video(), "video/mp4"))
    assert request.text == f"Watch this.\n{QUESTION}"
    assert (request.dialogue, request.max_tokens) == (Dialogue(system="Be brief."), 32)
    assert parse_chat(bodies.langchain_file()).shown == request.shown


def test_side_requests_of_open_webui_are_not_routed() -> None:
    request = parse_chat(bodies.open_webui_title())
    assert (request.shown, request.unrouted, request.question) == (None, "no video", None)
    assert request.text.startswith("### Task:")
    assert request.dialogue == Dialogue()
    assert forwarded(request) == bodies.open_webui_title()


FILE = data_url(video(), "video/mp4")
BASE64 = FILE.partition(",")[2]


@pytest.mark.parametrize(
    ("part", "url"),
    [
        ({"type": "video_url", "video_url": "https://a.example/x"}, "https://a.example/x"),
        ({"video_url": "https://a.example/x"}, "https://a.example/x"),
        ({"video_url": {"url": "https://a.example/x"}}, "https://a.example/x"),
        ({"type": "video", "url": "https://a.example/x"}, "https://a.example/x"),
        ({"type": "video", "video": "https://a.example/x"}, "https://a.example/x"),
        ({"type": "video", "video": {"url": "https://a.example/x"}}, "https://a.example/x"),
        ({"type": "video", "base64": BASE64, "mime_type": "video/mp4"}, FILE),
        ({"type": "video", "source_type": "base64", "data": BASE64, "mime_type": "video/mp4"}, FILE),
        ({"type": "video", "source_type": "url", "url": "https://a.example/x"}, "https://a.example/x"),
        ({"type": "video", "source_type": "id", "id": "file-1"}, "file-1"),
        ({"type": "video", "file_id": "file-1", "id": "block-1"}, "file-1"),
        ({"type": "file", "file": {"file_id": "file-1"}}, "file-1"),
        ({"type": "file", "file": {"file_data": FILE, "filename": "a.mp4"}}, FILE),
        ({"type": "file", "file": {"file_data": BASE64}}, f"data:application/octet-stream;base64,{BASE64}"),
        ({"type": "input_file", "file_id": "file-1"}, "file-1"),
        ({"type": "input_video", "video_url": "https://a.example/x"}, "https://a.example/x"),
        ({"type": "input_video", "video_data": FILE}, FILE),
        ({"type": "input_video", "file_id": "file-1"}, "file-1"),
        ({"type": "input_video", "input_video": {"data": BASE64, "format": "mp4"}}, FILE),
        (
            {"type": "image_url", "image_url": {"url": "https://a.example/x.MP4?token=1"}},
            "https://a.example/x.MP4?token=1",
        ),
        ({"type": "image_url", "image_url": "file:///videos/x.webm"}, "file:///videos/x.webm"),
        ({"type": "input_image", "image_url": FILE}, FILE),
    ],
)
def test_every_way_to_write_a_video_is_read(part: dict[str, Any], url: str) -> None:
    assert parse_chat({"messages": [user(part, text(QUESTION))]}).shown == VideoUrl(url)


def test_a_list_of_frames_in_qwens_form_has_the_seconds_of_its_rate() -> None:
    frames = [picture(shade) for shade in range(3)]
    shown = shown_pictures({"messages": [user({"type": "video", "video": frames, "fps": 2.0}, text(QUESTION))]})
    assert shown == Pictures(tuple(frames), (0.0, 0.5, 1.0), ("",) * 4)


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ({}, None),
        ({"fps": 2}, (0.0, 0.5, 1.0, 1.5)),
        ({"fps": 2, "frames_indices": [0, 4, 8, 9]}, (0.0, 2.0, 4.0, 4.5)),
        ({"frames_indices": [0, 4, 8, 9], "duration": 5.0, "total_num_frames": 10}, (0.0, 2.0, 4.0, 4.5)),
        ({"fps": 2, "frames_indices": [0, 8, 4, 9]}, None),
        ({"fps": 2, "num_frames": 2}, (0.0, 0.5)),
    ],
)
def test_seconds_follow_what_is_told_of_the_frames(told: dict[str, Any], seconds: tuple[float, ...] | None) -> None:
    body = bodies.vllm_frames() | {"media_io_kwargs": {"video": told}}
    assert shown_pictures(body).seconds == seconds


def test_pictures_may_be_addresses_and_keep_what_is_said_between_them() -> None:
    parts = [
        text("A man comes home.\n[0:01]"),
        image("https://a.example/1.jpg"),
        text("He is late."),
        text("[0:05]"),
        image("https://a.example/2.jpg"),
        text(QUESTION),
    ]
    request = parse_chat({"messages": [user(*parts)]})
    assert request.shown == Pictures(
        ("https://a.example/1.jpg", "https://a.example/2.jpg"), (1.0, 5.0), ("A man comes home.", "He is late.", "")
    )
    assert (request.text, request.question) == (QUESTION, QUESTION)


def test_a_question_may_precede_the_pictures() -> None:
    request = parse_chat({"messages": [user(text(QUESTION), image(picture(1)), image(picture(2)))]})
    assert isinstance(request.shown, Pictures)
    assert (request.text, request.question, request.shown.between) == (QUESTION, QUESTION, ("", "", ""))


def test_how_to_answer_may_follow_pictures_that_the_question_precedes() -> None:
    pictures = [image(picture(1)), image(picture(2))]
    request = parse_chat({"messages": [user(text(QUESTION), *pictures, text("Answer in one word."))]})
    assert isinstance(request.shown, Pictures)
    assert (request.text, request.shown.between) == ("Answer in one word.", (QUESTION, "", ""))
    assert request.question == QUESTION


def test_a_second_turn_about_the_same_video_asks_the_last_question() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "system", "content": [text("Be kind.")]},
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "Hello!"},
        user({"type": "video_url", "video_url": {"url": "https://a.example/x.mp4"}}, text(QUESTION)),
        {"role": "assistant", "content": "He waves."},
        {"role": "user", "content": "To whom?"},
    ]
    request = parse_chat({"messages": messages})
    assert request.dialogue == Dialogue(
        system="Be brief.\n\nBe kind.",
        before=(("user", "Hello."), ("assistant", "Hello!")),
        after=(("assistant", "He waves."), ("user", "To whom?")),
    )
    assert (request.text, request.asked_text, request.question) == (QUESTION, "To whom?", "To whom?")


def test_a_video_that_is_sent_again_with_the_next_question_is_one_video() -> None:
    part = {"type": "video_url", "video_url": {"url": "https://a.example/x.mp4"}}
    request = parse_chat(
        {
            "messages": [
                user(part, text(QUESTION)),
                {"role": "assistant", "content": "He waves."},
                user(part, text("To whom?")),
            ]
        }
    )
    assert request.shown == VideoUrl("https://a.example/x.mp4")
    assert request.dialogue.after == (("assistant", "He waves."), ("user", "To whom?"))
    assert request.question == "To whom?"


def test_text_alone_is_a_dialogue_around_the_last_question() -> None:
    said = [("user", "Hello."), ("assistant", "Hello!"), ("user", "Who are you?")]
    request = parse_chat({"messages": [{"role": role, "content": words} for role, words in said]})
    assert (request.unrouted, request.text) == ("no video", "Who are you?")
    assert request.dialogue == Dialogue(before=tuple(said[:2]))


def test_the_extensions_question_is_what_routers_read() -> None:
    body = bodies.lmms_eval() | {"videorouter": {"question": "Where is the door?", "frames": 64, "system": "vidcom2"}}
    request = parse_chat(body)
    assert (request.question, request.options, request.text) == ("Where is the door?", None, bodies.VIDEO_MME)
    assert request.routing == RoutingRequest(system="vidcom2", frames=64, question="Where is the door?")


VIDEO = {"type": "video_url", "video_url": {"url": "https://a.example/x.mp4"}}
OTHER_VIDEO = {"type": "video_url", "video_url": {"url": "https://a.example/y.mp4"}}
SOUND = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
CALL = {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([user(text("Hello."))], "no video"),
        ([user(VIDEO, OTHER_VIDEO, text(QUESTION))], "several videos"),
        ([user(VIDEO, image(picture(1)), text(QUESTION))], "a video beside pictures"),
        ([user(image(picture(1))), user(image(picture(2)), text(QUESTION))], "pictures in several messages"),
        ([user(VIDEO, SOUND, text(QUESTION))], "a video beside sound"),
        ([user(image(picture(1)), image(picture(2)), SOUND, text(QUESTION))], "pictures beside sound"),
        ([user(SOUND, text(QUESTION))], "sound"),
        ([user(VIDEO, text(QUESTION)), {"role": "tool", "content": "4", "tool_call_id": "1"}], "tool messages"),
        ([user(VIDEO, text(QUESTION)), {"role": "assistant", "content": None, "tool_calls": [CALL]}], "tool messages"),
        ([{"role": "system", "content": [VIDEO]}, user(text(QUESTION))], "a video that is not in a user's message"),
        (
            [user({"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0="}}, text(QUESTION))],
            "a file that is no video",
        ),
    ],
)
def test_what_is_not_routed_says_why_and_travels_on_as_it_came(messages: list[dict[str, Any]], reason: str) -> None:
    request = parse_chat({"model": "router", "messages": messages})
    assert (request.shown, request.unrouted, request.place) == (None, reason, None)
    assert forwarded(request) == {"model": "router", "messages": messages}


@pytest.mark.parametrize(
    "messages",
    [
        [user(image(picture(1)), text(QUESTION))],
        [user(text(QUESTION), image(picture(1)))],
        [user(image(picture(1)))],
        bodies.vllm_frames(1)["messages"],
    ],
)
def test_one_picture_is_not_routed_and_can_be_shown_all_the_same(messages: list[dict[str, Any]]) -> None:
    request = parse_chat({"model": "router", "messages": messages})
    assert request.unrouted == "one picture"
    assert isinstance(request.shown, Pictures)
    assert len(request.shown.urls) == 1
    assert forwarded(request) == {"model": "router", "messages": messages}


def test_the_smaller_of_two_limits_of_tokens_holds_here_and_upstream() -> None:
    body = bodies.open_webui_title() | {"max_tokens": 20}
    request = parse_chat(body)
    assert request.max_tokens == 20
    assert forwarded(request)["max_completion_tokens"] == 20
    assert "max_tokens" not in forwarded(request)
