"""What an endpoint may do wrong beyond what the miniature teacher can: each costs what it must and no more."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from videorouter.data_builders.__main__ import main
from videorouter.data_builders.teacher.config import TeacherConfig
from videorouter.data_builders.teacher.errors import TeacherRefusal, TeacherReplyError, TeacherUnavailable
from videorouter.data_builders.teacher.replies import QuestionCategory
from videorouter.data_builders.teacher.teacher import Teacher


async def completions(request: Request) -> Response:
    """Does what the first line of the question says."""
    body = await request.json()
    content = body["messages"][0]["content"]
    text = "\n".join(part["text"] for part in content if part["type"] == "text")
    if "[html]" in text:
        return PlainTextResponse("<html>gateway</html>")
    if "[no json]" in text:
        return Response("{", media_type="application/json")
    if "[no choices]" in text:
        return JSONResponse({"id": "x", "object": "chat.completion", "choices": []})
    if "[too long]" in text:
        return JSONResponse({"error": {"message": "maximum context length exceeded"}}, 400)
    if "[no key]" in text:
        return JSONResponse({"error": {"message": "invalid api key"}}, 401)
    count = sum(part["type"] == "image_url" for part in content)
    reply = {"scores": [{"frame": i + 1, "score": 100} for i in range(count)], "reason": ""}
    message = {"role": "assistant", "content": json.dumps(reply)}
    return JSONResponse({"id": "x", "object": "chat.completion", "choices": [{"index": 0, "message": message}]})


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    application = Starlette(routes=[Route("/v1/chat/completions", completions, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(application, log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    server.should_exit = True
    thread.join(timeout=10)


def ask(endpoint: str, question: str) -> object:
    teacher = Teacher(TeacherConfig(base_url=endpoint, attempts=0, patience=0))
    return asyncio.run(teacher.ask(f"Question: {question}", [], QuestionCategory, lambda reply: reply))


@pytest.mark.parametrize("question", ["[html]", "[no json]", "[no choices]"])
def test_a_response_that_is_no_completion_is_a_reply_error(endpoint: str, question: str) -> None:
    with pytest.raises(TeacherReplyError, match="no chat completion"):
        ask(endpoint, question)


def test_a_request_that_is_refused_is_told_from_an_endpoint_that_refuses_all(endpoint: str) -> None:
    with pytest.raises(TeacherRefusal, match=r"400 .*context length") as caught:
        ask(endpoint, "[too long]")
    assert "maximum context" in caught.value.raw
    with pytest.raises(TeacherUnavailable, match=r"401 .*check model name, key"):
        ask(endpoint, "[no key]")


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
