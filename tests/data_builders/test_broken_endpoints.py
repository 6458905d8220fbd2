"""What an endpoint may answer beyond what the miniature teacher can: each costs what it must and no more."""

import asyncio
import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.loopback.serving import served
from videorouter.data_builders.__main__ import main
from videorouter.data_builders.teacher.config import TeacherConfig, Usage
from videorouter.data_builders.teacher.errors import (
    TeacherCutOff,
    TeacherFailure,
    TeacherFiltered,
    TeacherRefusal,
    TeacherRefuses,
    TeacherReplyError,
)
from videorouter.data_builders.teacher.journal import Journal
from videorouter.data_builders.teacher.refusals import shape_of
from videorouter.data_builders.teacher.replies import QuestionCategory
from videorouter.data_builders.teacher.teacher import Teacher

REPLY = json.dumps({"category": "counting", "reason": "it counts"})
COUNTS = {"prompt_tokens": 100, "completion_tokens": 10}


def completion(content: Any = REPLY, finish: Any = "stop", usage: Any = COUNTS, **message: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": content, **message}, "finish_reason": finish}
    return {"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage}


def answered(*arguments: Any, **named: Any) -> Response:
    return JSONResponse(completion(*arguments, **named))


def inside(error: Any, **beside: Any) -> Response:
    return JSONResponse({"error": error, **beside})


def refused(status: int, message: str = "no", **error: Any) -> Response:
    return JSONResponse({"error": {"message": message, **error}}, status)


def raw(body: bytes, media_type: str = "application/json", **headers: str) -> Response:
    return Response(body, media_type=media_type, headers=headers)


def events(*chunks: dict[str, Any]) -> Response:
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return raw("".join([": hello\n\n", *lines, "data: [DONE]\n\n"]).encode(), "text/event-stream")


def delta(content: str | None, finish: str | None = None) -> dict[str, Any]:
    return {"object": "chat.completion.chunk", "choices": [{"delta": {"content": content}, "finish_reason": finish}]}


def body_of(value: Any) -> bytes:
    return json.dumps(value).encode()


GOOD: dict[str, Callable[[], Response]] = {
    "plain": answered,
    "parts": lambda: answered([{"type": "thinking", "thinking": "{}"}, {"type": "text", "text": REPLY}]),
    "parts of bare strings": lambda: answered([REPLY[:9], REPLY[9:]]),
    "a part in place of a list": lambda: answered({"type": "text", "text": REPLY}),
    "a part with a value": lambda: answered([{"type": "output_text", "text": {"value": REPLY, "annotations": []}}]),
    "an object": lambda: answered(json.loads(REPLY)),
    "the reply among the thoughts": lambda: answered(None, reasoning_content=REPLY),
    "thoughts": lambda: answered(f'<think>is it {{"category": "action"}}? No.</think>\n{REPLY}'),
    "the end of thoughts": lambda: answered(f'is it {{"category": "action"}}? No.\n</think>{REPLY}'),
    "a fence": lambda: answered(f"```json\n{REPLY}\n```"),
    "a fence that stays open": lambda: answered(f"```\n{REPLY}"),
    "prose around": lambda: answered(f"Here you are: {REPLY}\nAnything else?"),
    "an end token": lambda: answered(f"{REPLY}<|im_end|>"),
    "a line break inside a string": lambda: answered(REPLY.replace("it counts", "it\ncounts")),
    "a mark before the reply": lambda: answered(f"\ufeff{REPLY}"),
    "a mark before the body": lambda: raw(b"\xef\xbb\xbf" + body_of(completion())),
    "half a character": lambda: raw(body_of(completion(REPLY.replace("it", "\ud83d")))),
    "half a character, written out": lambda: answered(REPLY.replace("it", "\\ud83d")),
    "a refusal that is empty": lambda: answered(refusal=""),
    "an error that is null": lambda: JSONResponse(completion() | {"error": None}),
    "no reason to end": lambda: answered(finish=None),
    "blanks after the reply, to the limit": lambda: answered(REPLY + " " * 9999, "length"),
    "blanks after thoughts and the reply": lambda: answered(f"<think>{{}}</think>\n{REPLY}" + " " * 9999, "length"),
    "called text": lambda: raw(body_of(completion()), "text/plain"),
    "called latin-1": lambda: raw(body_of(completion()), "application/json; charset=latin-1"),
    "bytes that are no UTF-8": lambda: raw(body_of(completion(note="x")).replace(b'"x"', b'"\xe9"')),
    "compressed": lambda: raw(gzip.compress(body_of(completion())), **{"Content-Encoding": "gzip"}),
    "a stream nobody asked for": lambda: events(
        delta(REPLY[:9]), delta(REPLY[9:]), delta(None, "stop"), {"usage": COUNTS}
    ),
    "NaN": lambda: raw(body_of(completion() | {"score": float("nan")})),
    "blanks before the body": lambda: raw(b"\n" * 999 + body_of(completion())),
}


@pytest.mark.parametrize("case", GOOD)
def test_the_text_is_taken_out(endpoint: str, case: str) -> None:
    assert ask(endpoint, case).category == "counting"


FAILED, REFUSED, NONE = TeacherFailure, TeacherRefusal, TeacherReplyError
PUT_ASIDE: dict[str, tuple[Callable[[], Response], type[Exception], str]] = {
    "content null": (lambda: answered(None), NONE, "after one correction: reply: Invalid JSON"),
    "content a number": (lambda: answered(7), NONE, "after one correction: reply: Input should be an object"),
    "a wrong schema": (lambda: answered("{}"), NONE, "category: Field required; reason: Field required"),
    "thoughts without an end": (lambda: answered("<think>hm"), NONE, "Invalid JSON"),
    "a draft in thoughts without an end": (lambda: answered(f"<think>perhaps {REPLY} or"), NONE, "Invalid JSON"),
    "a draft in thoughts that were cut off": (
        lambda: answered(f"perhaps {REPLY} or", finish="length"), TeacherCutOff, "cut off twice",
    ),
    "a draft in thoughts beside no content that were cut off": (
        lambda: answered(None, finish="length", reasoning_content=f"perhaps {REPLY} or"), TeacherCutOff, "cut off twice",
    ),
    "too deep": (lambda: answered("[" * 100_000), NONE, "Invalid JSON"),
    "a refusal": (lambda: answered(None, refusal="I cannot help"), REFUSED, "^the model refused: I cannot help$"),
    "a refusal as a part": (lambda: answered([{"type": "refusal", "refusal": "No."}]), REFUSED, "model refused: No."),
    "cut off": (lambda: answered(REPLY[:20], "length"), TeacherCutOff, "cut off twice, at last at 2048 tokens: raise"),
    "cut off by another name": (lambda: answered("", {"type": "max_tokens"}), TeacherCutOff, "cut off twice"),
    "filtered": (lambda: answered(None, "content_filter"), TeacherFiltered, "the reply was filtered"),
    "filtered by another name": (lambda: answered("", "SAFETY"), TeacherFiltered, "the reply was filtered"),
    "ended in an error": (lambda: answered(None, "error"), FAILED, "error inside a 200: 502 the reply ended in an error"),
    "a choice that is an error": (
        lambda: JSONResponse({"choices": [{"error": {"code": 400, "message": "bad image"}}]}),
        REFUSED, "error inside a 200: 400 bad image",
    ),
    "a 400 inside": (lambda: inside({"code": 400, "message": "bad"}), REFUSED, "error inside a 200: 400 bad"),
    "a 503 inside, as text": (lambda: inside({"code": "503", "message": "busy"}), FAILED, "error inside a 200: 503 busy"),
    "a 502 inside, of a provider": (
        lambda: inside({"code": 502, "message": "Provider returned error", "metadata": {"raw": "upstream died"}}),
        FAILED, "error inside a 200: 502 Provider returned error: upstream died",
    ),
    "nested errors": (lambda: inside({"error": {"error": {"code": 422, "message": "odd"}}}), REFUSED, "422 odd"),
    "an error by its type": (
        lambda: inside({"type": "invalid_request_error", "message": "odd"}, type="error"),
        REFUSED, r"400 \(invalid_request_error\) odd",
    ),
    "an error that is text": (lambda: inside("out of memory"), FAILED, "error inside a 200: 500 out of memory"),
    "an error beside an answer": (lambda: JSONResponse(completion() | {"error": {"code": 400}}), REFUSED, "inside a 200"),
    "an error of vLLM": (lambda: JSONResponse({"object": "error", "message": "odd", "code": 400}), REFUSED, "400 odd"),
    "a list of errors": (lambda: JSONResponse([{"error": {"code": 400, "message": "odd"}}]), REFUSED, "400 odd"),
    "a detail": (lambda: JSONResponse({"detail": [{"msg": "field required"}]}), REFUSED, "field required"),
    "an error in a stream": (lambda: events({"error": {"code": 400, "message": "odd"}}), REFUSED, "inside a 200: 400 odd"),
    "a stream of nothing": (lambda: events(), NONE, "no chat completion but server-sent events without a choice"),
    "null": (lambda: raw(b"null"), NONE, "no chat completion but null"),
    "a list": (lambda: raw(b"[]"), NONE, "no chat completion but a list"),
    "a string": (lambda: raw(b'"hello"'), NONE, "no chat completion but a string"),
    "nothing": (lambda: raw(b""), NONE, "no chat completion but nothing"),
    "half a body": (lambda: raw(b"{"), NONE, "no chat completion but no JSON"),
    "a deep body": (lambda: raw(b"[" * 100_000), NONE, "no chat completion but no JSON"),
    "HTML": (lambda: raw(b"<html>gateway</html>", "text/html"), NONE, "no chat completion but HTML"),
    "no choices": (lambda: JSONResponse({"choices": []}), NONE, "no chat completion but without choices"),
    "choices null": (lambda: JSONResponse({"choices": None}), NONE, "without choices"),
    "choices of nulls": (lambda: JSONResponse({"choices": [None]}), NONE, "without choices"),
    "a message null": (lambda: JSONResponse({"choices": [{"message": None}]}), NONE, "a choice without a message"),
    "a huge body": (lambda: raw(b" " * 17_000_000), NONE, "no chat completion but larger than 16 MB"),
    "no gzip": (lambda: raw(b"x" * 99, **{"Content-Encoding": "gzip"}), FAILED, "failed 1 times .*: broke off"),
    "too long": (lambda: refused(400, "maximum context length is 9"), REFUSED, "HTTP 400 maximum context length is 9"),
    "moderated": (lambda: refused(403, "flagged by moderation"), REFUSED, "HTTP 403 flagged"),
    "a bare 403": (lambda: Response(status_code=403), REFUSED, "HTTP 403 without a word"),
    "a page of a proxy": (lambda: Response("<h1>Too  large</h1>", 413), REFUSED, "HTTP 413 Too large$"),
    "451": (lambda: refused(451), REFUSED, "HTTP 451 no"),
    "500": (lambda: refused(500, "boom"), FAILED, "failed 1 times on this request: HTTP 500 boom"),
}  # fmt: skip


@pytest.mark.parametrize("case", PUT_ASIDE)
def test_an_item_is_put_aside_with_the_reason(endpoint: str, case: str) -> None:
    _, kind, reason = PUT_ASIDE[case]
    with pytest.raises(TeacherReplyError, match=reason) as caught:
        ask(endpoint, case)
    assert type(caught.value) is kind
    assert len(caught.value.raw) <= 2000 or case == "too deep"
    assert not any(
        character.isdigit() for character in caught.value.shape.replace(f"HTTP {caught.value.shape[5:8]}", "")
    )


OF_ALL: dict[str, tuple[Callable[[], Response], str]] = {
    "no key": (lambda: refused(401, "invalid api key"), "HTTP 401 invalid api key: check the key in the variable"),
    "no money": (lambda: refused(402, "pay"), "HTTP 402 pay: check the account"),
    "no quota": (lambda: refused(429, "spent", code="insufficient_quota"), "429 .insufficient_quota. spent: check the account"),
    "no money, as Anthropic says it": (
        lambda: refused(400, "Your credit balance is too low to access the Anthropic API.", type="invalid_request_error"),
        "credit balance is too low .*: check the account",
    ),
    "no money, as DashScope says it": (lambda: refused(400, "Access denied", code="Arrearage"), "Arrearage.*: check the account"),
    "a key that Gemini does not know": (
        lambda: JSONResponse([{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key."}}], 400),
        "HTTP 400 API key not valid.*: check the key in the variable",
    ),
    "no such model": (lambda: refused(404, "no such model"), "HTTP 404 no such model: check --teacher.base_url"),
    "a 401 inside": (lambda: inside({"code": 401, "message": "who?"}), "error inside a 200: 401 who.: check the key"),
    "elsewhere": (
        lambda: Response(status_code=308, headers={"Location": "https://me:secret@elsewhere/v1/chat/completions?key=k"}),
        "HTTP 308 redirects to https://elsewhere/v1/chat/completions: give the address",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", OF_ALL)
def test_what_refuses_every_request_stops_the_run_at_once_with_what_to_change(endpoint: str, case: str) -> None:
    with pytest.raises(TeacherRefuses, match=OF_ALL[case][1]):
        ask(endpoint, case)


USAGES: dict[str, tuple[Any, Usage]] = {
    "whole": (COUNTS, Usage(1, 0, 100, 10)),
    "floats that are whole": ({"prompt_tokens": 100.0, "completion_tokens": 10.0}, Usage(1, 0, 100, 10)),
    "other names": ({"input_tokens": 100, "output_tokens": 10}, Usage(1, 0, 100, 10)),
    "null": (None, Usage(1, 0, 5, 11, 1)),
    "text": ("many", Usage(1, 0, 5, 11, 1)),
    "a list": ([100, 10], Usage(1, 0, 5, 11, 1)),
    "partial": ({"prompt_tokens": 100}, Usage(1, 0, 100, 11, 1)),
    "in words": ({"prompt_tokens": "100", "completion_tokens": None}, Usage(1, 0, 5, 11, 1)),
    "negative": ({"prompt_tokens": -1, "completion_tokens": 10}, Usage(1, 0, 5, 10, 1)),
    "broken": ({"prompt_tokens": 0.5, "completion_tokens": 10}, Usage(1, 0, 5, 10, 1)),
    "huge": ({"prompt_tokens": 10**30, "completion_tokens": 10}, Usage(1, 0, 5, 10, 1)),
    "no number": ({"prompt_tokens": float("nan"), "completion_tokens": float("inf")}, Usage(1, 0, 5, 11, 1)),
    "nothing": ({"prompt_tokens": 0, "completion_tokens": 0}, Usage(1, 0, 5, 11, 1)),
    "true": ({"prompt_tokens": True, "completion_tokens": 10}, Usage(1, 0, 5, 10, 1)),
}


@pytest.mark.parametrize("case", USAGES)
def test_usage_that_is_missing_or_nonsense_is_estimated_and_marked_so(endpoint: str, case: str, tmp_path: Path) -> None:
    usage = USAGES[case][1]
    if usage.estimated:  # by the length of the question and of the reply
        tokens_in = len(f"Question: usage {case}") // 4 if usage.tokens_in == 5 else usage.tokens_in
        usage = Usage(1, 0, tokens_in, usage.tokens_out, 1)
    with closing(Journal(tmp_path / "j.sqlite")) as journal:
        assert ask(endpoint, f"usage {case}", journal).category == "counting"
        assert journal.spent() == {"teacher": usage}


@pytest.mark.parametrize("case", ["a refusal", "filtered", "cut off"])
def test_a_bad_reply_is_paid_once_and_stays_bad_in_the_next_run(endpoint: str, case: str, tmp_path: Path) -> None:
    reasons, paid = [], []
    for address in (endpoint, "http://127.0.0.1:9/v1"):
        with closing(Journal(tmp_path / "j.sqlite")) as journal:
            with pytest.raises(PUT_ASIDE[case][1]) as caught:
                ask(address, case, journal)
            paid.append(journal.spent()["teacher"].requests)
        reasons.append(str(caught.value))
    assert reasons[0] == reasons[1]
    assert paid == ([2, 2] if case == "cut off" else [1, 1])


def test_a_long_error_body_is_cut(endpoint: str) -> None:
    with pytest.raises(TeacherRefusal) as caught:
        ask(endpoint, "a long refusal")
    assert len(caught.value.raw) == 2000
    assert len(str(caught.value)) < 600


def test_a_refusal_says_whether_it_is_moderation(endpoint: str) -> None:
    for case, moderation in (("moderated", True), ("a bare 403", False), ("too long", False), ("filtered", True)):
        with pytest.raises(TeacherReplyError) as caught:
            ask(endpoint, case)
        assert caught.value.moderation is moderation


SHAPES = [
    ("image at has tokens",
     ["Image 'a b.jpg' at https://h/v?k=1 has 1,024 tokens", "Image \"c\" at http://127.0.0.1:1/x has 99 tokens"]),
    ("bad input",
     ["Bad input (request id: req-8a7f)", "Bad input (request id: 0f-11-22)", "bad  input [request_id=zzz]"]),
    ("maximum context length is tokens",
     ["maximum context length is 32768 tokens", "Maximum context length is 32,768 tokens."]),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "messages"), SHAPES)
def test_refusals_of_one_kind_have_one_shape(shape: str, messages: list[str]) -> None:
    assert {shape_of(400, "bad_request", message) for message in messages} == {f"HTTP 400: bad_request: {shape}"}


def test_refusals_of_two_kinds_have_two_shapes() -> None:
    said = ["maximum context length is 9 tokens", "at most 4 images are allowed", "temperature is not supported"]
    assert len({shape_of(400, "bad", message) for message in said}) == 3
    assert shape_of(400, "bad", said[0]) != shape_of(403, "bad", said[0]) != shape_of(403, "forbidden", said[0])


RESPONSES: dict[str, Callable[[], Response]] = {
    **GOOD,
    **{case: response for case, (response, *_) in PUT_ASIDE.items()},
    **{case: response for case, (response, _) in OF_ALL.items()},
    "a long refusal": lambda: refused(400, "x " * 40_000),
}


async def respond(request: Request) -> Response:
    """Does what the question names; to pictures, what an endpoint should."""
    body = await request.json()
    content = body["messages"][0]["content"]
    text = "\n".join(part["text"] for part in content if part["type"] == "text")
    case = text.removeprefix("Question: ")
    if case.startswith("usage "):
        return raw(body_of(completion(usage=USAGES[case.removeprefix("usage ")][0])))
    if case in RESPONSES:
        return RESPONSES[case]()
    if "[no choices]" in text:
        return JSONResponse({"id": "x", "object": "chat.completion", "choices": []})
    if "[too long]" in text:
        return refused(400, "maximum context length exceeded")
    count = sum(part["type"] == "image_url" for part in content)
    return answered(json.dumps({"scores": [{"frame": i + 1, "score": 100} for i in range(count)], "reason": ""}))


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with served(Starlette(routes=[Route("/v1/chat/completions", respond, methods=["POST"])])) as address:
        yield f"{address}/v1"


def ask(endpoint: str, case: str, journal: Journal | None = None) -> QuestionCategory:
    teacher = Teacher(TeacherConfig(base_url=endpoint, attempts=0, patience=0), journal=journal)
    return asyncio.run(teacher.ask(f"Question: {case}", [], QuestionCategory, lambda reply: reply))


def test_questions_it_fails_on_are_put_aside_and_the_others_labelled(
    world: Path, endpoint: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    video = f"videos/{sorted((world / 'videos').iterdir())[0].name}"
    asked = ["What [no choices]?", "What [too long] [/b]?", "What?"]
    rows = [
        {"id": f"q[/{n}]", "video": video, "question": q, "task_type": "t", "source": "s"} for n, q in enumerate(asked)
    ]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = ["flr", "annotate", "--questions", str(tmp_path / "q.jsonl"), "--videos", str(world), "--frames", "8"]
    arguments += ["--frame_size", "56", "--teacher.base_url", endpoint, "--out", str(tmp_path / "out")]
    assert main(arguments) == 3
    quarantined = [json.loads(line) for line in (tmp_path / "out" / "quarantine.jsonl").read_text().splitlines()]
    assert [(row["item"], row["verdict"]) for row in quarantined] == [("q[/0]", "invalid_reply"), ("q[/1]", "refused")]
    printed = capfd.readouterr().out
    assert "1 questions labelled" in printed
    assert "put aside q[/1] (refused)" in printed
