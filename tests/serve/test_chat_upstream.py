"""Messages for an upstream: chosen frames stand where the video stood, and nothing else of them changes."""

import copy
from typing import Any

import pytest

from tests.serve import chat_bodies as bodies
from tests.serve.chat_bodies import QUESTION, image, picture, text, user
from videorouter.serve.chat.request import forwarded, parse_chat
from videorouter.serve.chat.upstream import with_pictures

CHOSEN = [(0.5, "data:image/jpeg;base64,one"), (12.25, "data:image/jpeg;base64,two")]
WRITTEN = [
    text("<0.5 seconds>"),
    image("data:image/jpeg;base64,one"),
    text("<12.2 seconds>"),
    image("data:image/jpeg;base64,two"),
]


def rewritten(body: dict[str, Any], frames: list[int] | None = None) -> list[dict[str, Any]]:
    before = copy.deepcopy(body)
    messages = with_pictures(parse_chat(body), CHOSEN, frames)
    assert body == before, "the received body was changed"
    return messages


def test_a_video_is_replaced_where_it_stood() -> None:
    body = bodies.dify()
    assert rewritten(body) == [body["messages"][0], user(text(QUESTION), *WRITTEN)]


def test_pictures_and_their_labels_are_replaced() -> None:
    assert rewritten(bodies.lmms_eval_qwen3()) == [user(*WRITTEN, text(bodies.VIDEO_MME))]
    assert rewritten(bodies.lmms_eval_qwen3(), [1, 5]) == [user(*WRITTEN, text(bodies.VIDEO_MME))]


def test_lines_that_named_the_pictures_are_gone_and_their_options_kept() -> None:
    (message,) = rewritten(bodies.vlmevalkit_lmdeploy(), [0, 7])
    *shown, asked = message["content"]
    assert shown[1] == image("data:image/jpeg;base64,one", max_dynamic_patch=1)
    assert shown[3] == image("data:image/jpeg;base64,two", max_dynamic_patch=1)
    assert "IMAGE_TOKEN" not in asked["text"]
    assert asked["text"].endswith("Answer with the option's letter from the given choices directly.")


def test_texts_between_pictures_keep_their_places_where_frames_are_named() -> None:
    parts: list[Any] = [{"type": "text", "text": "A man comes home.\n[0:00]", "cache_control": {"type": "ephemeral"}}]
    for shade in range(3):
        parts += [image(picture(shade), detail="low"), text(f"He says {shade}."), text(f"[0:0{shade + 1}]")]
    parts = [*parts[:-1], text(QUESTION)]
    first, second = (image(url, detail="low") for _, url in CHOSEN)
    assert rewritten({"messages": [user(*parts)]}, [0, 2]) == [
        user(
            {"type": "text", "text": "A man comes home.", "cache_control": {"type": "ephemeral"}},
            *(WRITTEN[0], first, text("He says 0."), text("He says 1."), WRITTEN[2], second, text("He says 2.")),
            text(QUESTION),
        )
    ]


def test_frames_in_one_url_are_replaced_too_and_what_was_said_of_them_is_left_out() -> None:
    body = bodies.vllm_frames()
    messages = rewritten(body, [0, 3])
    assert messages == [user(*WRITTEN, text(QUESTION))]
    sent = forwarded(parse_chat(body), messages)
    assert sent["messages"] is messages
    assert not {"media_io_kwargs", "mm_processor_kwargs"} & sent.keys()
    assert sent["top_k"] == 20


def test_further_copies_of_the_video_are_removed() -> None:
    part = {"type": "video_url", "video_url": {"url": "https://a.example/x.mp4"}}
    body = {
        "messages": [
            user(part, text(QUESTION), part),
            {"role": "assistant", "content": "He waves."},
            user(part, text("To whom?")),
            user(part),
            user(text("And why?")),
        ]
    }
    assert rewritten(body) == [
        user(*WRITTEN, text(QUESTION)),
        body["messages"][1],
        user(text("To whom?")),
        {"role": "user", "content": ""},
        user(text("And why?")),
    ]


def test_a_picture_whose_second_is_unknown_has_no_text() -> None:
    (message,) = with_pictures(parse_chat(bodies.lmms_eval()), [(None, "https://a.example/1.jpg")])
    assert message["content"] == [image("https://a.example/1.jpg"), text(bodies.VIDEO_MME)]


def test_messages_that_show_no_video_have_none_to_replace() -> None:
    with pytest.raises(ValueError, match="shows no video"):
        with_pictures(parse_chat(bodies.open_webui_title()), CHOSEN)
    with pytest.raises(ValueError, match="2 pictures of 1 frames"):
        with_pictures(parse_chat(bodies.lmms_eval()), CHOSEN, [0])
