"""A teacher on loopback that answers every kind of request well, but for what a script gives in its place."""

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


@dataclass(frozen=True)
class Asked:
    """One request: its schema's name, its last text, its pictures, and the number of it."""

    kind: str
    text: str
    pictures: int
    number: int
    body: dict[str, Any] = field(repr=False)

    @property
    def video(self) -> str:
        """The video that the question names, `v07` for instance."""
        found = re.search(r"\bv\d\d\b", self.text)
        return found[0] if found else ""


Script = Callable[[Asked], Response | None]
"""What is answered in place of a good reply; None for a good one."""


@dataclass
class ScriptedTeacher:
    """`script` may be replaced while it serves; `seen` are the requests so far, `good` those that were answered well."""

    script: Script = lambda asked: None
    url: str = ""
    seen: list[Asked] = field(default_factory=list)
    good: list[Asked] = field(default_factory=list)

    async def complete(self, request: Request) -> Response:
        body = await request.json()
        content = body["messages"][0]["content"]
        asked = Asked(
            kind=body["response_format"]["json_schema"]["name"],
            text="\n".join(part["text"] for part in content if part["type"] == "text"),
            pictures=sum(part["type"] == "image_url" for part in content),
            number=len(self.seen),
            body=body,
        )
        self.seen.append(asked)
        if (scripted := self.script(asked)) is not None:
            return scripted
        self.good.append(asked)
        return reply(json.dumps(GOOD[asked.kind](asked)))


GOOD: dict[str, Callable[[Asked], dict[str, Any]]] = {
    "FrameScores": lambda asked: {
        "scores": [{"frame": n, "score": 100 if n == 1 else 0} for n in range(1, asked.pictures + 1)],
        "reason": "the first",
    },
    "VideoAnswer": lambda asked: {"answerable": asked.pictures != 3, "answer": "a star", "reason": ""},
    "Judgement": lambda asked: {"same": True, "reason": ""},
    "QuestionCategory": lambda asked: {"category": "action", "reason": ""},
    "FrameCaptions": lambda asked: {
        "captions": [{"frame": n, "caption": f"picture {n}"} for n in range(1, asked.pictures + 1)]
    },
    "ProposedQuestions": lambda asked: {
        "questions": [
            {
                "question": "What appears?",
                "options": [],
                "answer": "a star",
                "evidence": [1],
                "task_type": "glyph",
                "reason": "",
            }
        ]
    },
    "Coherence": lambda asked: {"coherent": True, "reason": ""},
}


def reply(content: str) -> Response:
    """A chat completion of that content."""
    message = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    return JSONResponse(
        {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [message], "usage": usage}
    )


def refusal(message: str, status: int = 400, code: str = "invalid_request_error") -> Response:
    """An error body as most endpoints have it."""
    return JSONResponse({"error": {"message": message, "code": code}}, status)


@contextmanager
def scripted_teacher(script: Script = lambda asked: None) -> Iterator[ScriptedTeacher]:
    """One that serves while the body runs."""
    teacher, listener = ScriptedTeacher(script), socket.socket()
    listener.bind(("127.0.0.1", 0))
    teacher.url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    application = Starlette(routes=[Route("/v1/chat/completions", teacher.complete, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(application, log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield teacher
    finally:
        server.should_exit = True
        thread.join(timeout=10)
