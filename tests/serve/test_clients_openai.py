"""openai-python, as its users write it, against a running server: ways to show a video, streams, uploads, frames as pictures."""

import asyncio
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion

from tests.serve.chat_bodies import image, text
from tests.serve.prompts import about, data_video, frames, messages, prompt
from tests.serve.serving import KEY, MOST_FRAMES, MOST_WAITING, NAME, Serving

HELLO: list[Any] = [{"role": "user", "content": "Name a colour."}]


@pytest.fixture(scope="module")
def client(serving: Serving) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=serving.base_url, api_key=KEY, max_retries=0) as client:
        yield client


def routing(answer: Any) -> dict[str, Any]:
    """The extension's object of an answer or chunk."""
    return answer.model_extra["videorouter"]


def ask(client: openai.OpenAI, asked: list[Any], **more: Any) -> ChatCompletion:
    return client.chat.completions.create(model=NAME, messages=asked, **more)


def test_a_video_by_file_data_web_or_upload_is_the_same_video(client: openai.OpenAI, serving: Serving) -> None:
    item = serving.items(1)[0]
    with item.video.open("rb") as file:
        upload = client.files.create(file=file, purpose="user_data")
    try:
        web = f"{serving.web}/{item.video.relative_to(serving.world)}"
        urls = [item.video.as_uri(), data_video(item.video), web, upload.id]
        answers = [ask(client, about(item, url), max_completion_tokens=4) for url in urls]
        shown = {"type": "file", "file": {"file_id": upload.id}}
        answers.append(ask(client, messages(shown, text(prompt(item)))))
    finally:
        client.files.delete(upload.id)
    assert len({answer.choices[0].message.content for answer in answers}) == 1
    assert len({routing(answer)["video"]["sha256"] for answer in answers}) == 1
    assert [routing(answer)["video"]["cached"] for answer in answers][1:] == [True] * 4
    first = routing(answers[0])
    assert first["tokens"] == sum(frame["tokens"] for frame in first["frames"]) <= first["budget"]
    assert first["dense_tokens"] > 3 * first["tokens"]


def test_an_upload_is_listed_looked_up_and_gone_once_it_is_deleted(client: openai.OpenAI, serving: Serving) -> None:
    item = serving.items(1)[0]
    upload = client.files.create(file=("a film.mp4", item.video.read_bytes()), purpose="user_data")
    assert (upload.filename, upload.bytes) == ("a film.mp4", item.video.stat().st_size)
    assert client.files.retrieve(upload.id) == upload
    assert client.files.wait_for_processing(upload.id, max_wait_seconds=5) == upload
    assert [file.id for file in client.files.list()] == [upload.id]
    assert client.files.delete(upload.id).deleted
    assert not list(client.files.list())
    with pytest.raises(openai.NotFoundError, match="no upload"):
        client.files.retrieve(upload.id)
    with pytest.raises(openai.NotFoundError, match="no upload"):
        ask(client, about(item, upload.id))


def test_a_stream_says_the_routing_first_the_same_text_and_the_usage_last(
    client: openai.OpenAI, serving: Serving
) -> None:
    item = serving.items(1)[0]
    whole = ask(client, about(item), max_completion_tokens=8)
    stream: Any = ask(client, about(item), max_completion_tokens=8, stream=True, stream_options={"include_usage": True})
    with stream:
        chunks = list(stream)
    *said, last = chunks
    assert all(chunk.choices and chunk.usage is None for chunk in said)
    assert (last.choices, last.usage) == ([], whole.usage)
    assert len({chunk.id for chunk in chunks}) == 1
    assert "".join(chunk.choices[0].delta.content or "" for chunk in said).strip() == whole.choices[0].message.content
    assert [chunk.choices[0].finish_reason for chunk in said][-1] == whole.choices[0].finish_reason == "stop"
    assert routing(said[0])["frames"] == routing(whole)["frames"]
    assert {"prefill", "generate", "total"} <= routing(said[-1])["seconds"].keys()


def test_the_library_s_own_helper_of_streams_understands_ours(client: openai.OpenAI, serving: Serving) -> None:
    with client.chat.completions.stream(model=NAME, messages=about(serving.items(1)[0])) as stream:
        stream.until_done()
        final = stream.get_final_completion()
    assert final.choices[0].message.content
    assert final.choices[0].finish_reason == "stop"


def test_max_completion_tokens_cuts_an_answer(client: openai.OpenAI, serving: Serving) -> None:
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Which colour is the sand?"}]
    answer = ask(client, asked, max_completion_tokens=1)
    assert answer.usage is not None
    assert (answer.choices[0].finish_reason, answer.usage.completion_tokens) == ("length", 1)


def test_extra_body_chooses_system_budget_policy_and_frames(client: openai.OpenAI, serving: Serving) -> None:
    def routed(**wishes: Any) -> dict[str, Any]:
        return routing(ask(client, about(serving.items(1)[0]), extra_body={"videorouter": wishes}))

    small = routed(budget=100, policy="global", frames=32)
    assert (small["budget"], small["policy"], small["video"]["sampled"]) == (100, "global", 32)
    assert small["tokens"] <= 100
    other = routed(system="frame_budget", budget=256)
    assert (other["system"], other["policy"]) == ("frame_budget", None)


@pytest.mark.parametrize(("wanted", "sampled"), [(32, 32), (-1, 64), (100_000, MOST_FRAMES)])
def test_num_frames_of_media_io_kwargs_counts_up_to_the_most_that_the_server_takes(
    client: openai.OpenAI, serving: Serving, wanted: int, sampled: int
) -> None:
    body = {"media_io_kwargs": {"video": {"num_frames": wanted}}}
    answer = ask(client, about(serving.items(1)[0]), extra_body=body)
    assert routing(answer)["video"]["sampled"] == sampled


def test_frames_of_the_extension_go_before_num_frames(client: openai.OpenAI, serving: Serving) -> None:
    body = {"media_io_kwargs": {"video": {"num_frames": 32}}, "videorouter": {"frames": 16}}
    answer = ask(client, about(serving.items(1)[0]), extra_body=body)
    assert routing(answer)["video"]["sampled"] == 16


@pytest.mark.parametrize("label", ["<{second:.3f} seconds>", "Frame-{number}: ", ""])
def test_pictures_with_texts_between_them_are_routed_as_the_frames_of_one_video(
    client: openai.OpenAI, serving: Serving, label: str
) -> None:
    item = serving.items(1)[0]
    urls, seconds = frames(item.video, 64)
    parts: list[Any] = []
    for number, (url, second) in enumerate(zip(urls, seconds, strict=True), start=1):
        parts += [text(label.format(second=second, number=number))] if label else []
        parts.append(image(url))
    spared = serving.count("videorouter_visual_tokens_spared_total")
    answer = ask(client, messages(*parts, text(prompt(item))), max_tokens=8)
    told = routing(answer)
    known = seconds if "second" in label else [float(place) for place in range(64)]
    assert [frame["second"] for frame in told["frames"]] == pytest.approx(known, abs=1e-3)
    assert told["dense_tokens"] - told["tokens"] > 600
    assert serving.count("videorouter_visual_tokens_spared_total") - spared == told["dense_tokens"] - told["tokens"]
    if "second" in label:  # the same frames at the same times: nothing tells them from the video
        of_the_video = ask(client, about(item), max_tokens=8)
        assert [frame["tokens"] for frame in routing(of_the_video)["frames"]] == [
            frame["tokens"] for frame in told["frames"]
        ]
        assert of_the_video.choices[0].message.content == answer.choices[0].message.content
        assert of_the_video.usage == answer.usage


def test_text_alone_is_answered_by_the_base(client: openai.OpenAI) -> None:
    answer = ask(client, HELLO, max_tokens=16)
    assert answer.choices[0].message.content
    assert routing(answer)["passed_through"] == "no video"


def test_the_model_is_listed_with_what_it_is_served_by(client: openai.OpenAI) -> None:
    (model,) = client.models.list()
    assert (model.id, model.object) == (NAME, "model")
    assert client.models.retrieve(NAME) == model
    assert routing(model)["engine"] == "own"
    with pytest.raises(openai.NotFoundError) as raised:
        client.models.retrieve("gpt-5")
    assert raised.value.code == "model_not_found"


def test_eight_questions_in_flight_are_answered_as_each_alone(client: openai.OpenAI, serving: Serving) -> None:
    items = serving.items(8)
    alone = [ask(client, about(item), max_tokens=8).choices[0].message.content for item in items]

    async def together() -> list[ChatCompletion]:
        async with openai.AsyncOpenAI(base_url=serving.base_url, api_key=KEY, max_retries=0) as several:
            create = several.chat.completions.create
            questions = [create(model=NAME, messages=about(item), max_tokens=8) for item in items]
            return await asyncio.gather(*questions)

    answers = [answer.choices[0].message.content for answer in asyncio.run(together())]
    assert answers == alone
    right = sum((answer or "").lstrip("(")[:1] == item.answer for answer, item in zip(answers, items, strict=True))
    assert right >= 5


def slow_request(serving: Serving) -> socket.socket:
    """A request whose body does not come: it has its place from its first line on."""
    host, port = serving.address.removeprefix("http://").split(":")
    sending = socket.create_connection((host, int(port)))
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {KEY}\r\n"
    sending.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{".encode())
    return sending


def wait_until_in_work(serving: Serving, count: int) -> None:
    ends = time.monotonic() + 20
    while serving.count("videorouter_requests_in_work") != count:
        assert time.monotonic() < ends, f"not {count} requests in work"
        time.sleep(0.02)


def test_more_requests_than_places_are_told_when_to_come_again_and_come(
    client: openai.OpenAI, serving: Serving
) -> None:
    refused = 'videorouter_requests_total{status="429",way="chat"}'
    wait_until_in_work(serving, 0)
    with ThreadPoolExecutor(1) as aside:
        with ExitStack() as holding:
            for _ in range(MOST_WAITING):
                holding.enter_context(slow_request(serving))
            wait_until_in_work(serving, MOST_WAITING)
            with pytest.raises(openai.RateLimitError) as raised:
                ask(client, HELLO)
            before = serving.count(refused)
            patient = aside.submit(ask, client.with_options(max_retries=4), HELLO, max_tokens=4)
            while serving.count(refused) == before and not patient.done():
                time.sleep(0.02)
        assert patient.result(60).choices
    assert raised.value.code == "queue_full"
    assert int(raised.value.response.headers["retry-after"]) >= 1


def test_a_stream_that_is_cancelled_frees_its_place(client: openai.OpenAI, serving: Serving) -> None:
    wait_until_in_work(serving, 0)
    gone = 'videorouter_requests_total{status="499",way="chat"}'
    before = serving.count(gone)
    wishes = {"system": "dense", "frames": 96, "budget": 96 * 16}
    first = asyncio.Event()

    async def leave() -> None:
        async with openai.AsyncOpenAI(base_url=serving.base_url, api_key=KEY, max_retries=0) as leaving:

            async def read() -> None:
                stream: Any = await leaving.chat.completions.create(
                    model=NAME,
                    messages=about(serving.items(1)[0]),
                    stream=True,
                    extra_body={"videorouter": wishes},
                )
                async for _ in stream:
                    first.set()

            reading = asyncio.create_task(read())
            await first.wait()
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    asyncio.run(leave())
    wait_until_in_work(serving, 0)
    assert serving.count(gone) == before + 1
    assert ask(client, HELLO, max_tokens=4).choices
