"""A server of OpenAI's interface that answers with what it was sent, as a process of its own that can be killed.

`prompt_embeds` is read as vLLM reads it: base64 of a tensor file `[L, D]`, without pickled code.
"""

import asyncio
import base64
import io
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.serve.running_server import ROOT, warm_python

STEP = 0.01
"""Seconds between two words of an answer."""
MODEL = "echo"
SLOWLY = "slowly"
"""In a chat's messages: an answer of a hundred words, four a second."""
asked: list[Any] = []
"""Messages of chats."""
streaming: list[str] = []
"""One entry for each answer that is being streamed."""


class UpstreamProcess:
    """The server on a loopback port that stays its own while it is killed and started again."""

    def __init__(self, port: int) -> None:
        self.port, self.address = port, f"http://127.0.0.1:{port}/v1"
        self.start()

    def start(self) -> None:
        """Until it answers."""
        with open(os.devnull, "wb") as nothing:
            self._process = warm_python().start(
                ["-m", "tests.serve.openai_upstream", str(self.port)], ROOT, os.environ, nothing
            )
        until = time.monotonic() + 60
        while True:
            try:
                httpx2.get(f"{self.address}/models", timeout=5)
                return
            except httpx2.HTTPError:
                assert time.monotonic() < until, "the upstream did not start"
                time.sleep(0.05)

    def kill(self) -> None:
        """At once."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)

    def asked(self) -> list[Any]:
        """The messages of all chats since it was started."""
        found: list[Any] = httpx2.get(f"{self.address}/asked", timeout=5).json()
        return found

    def streaming(self) -> int:
        """Answers that are being streamed now."""
        return int(httpx2.get(f"{self.address}/streaming", timeout=5).json())


@contextmanager
def running_upstream() -> Iterator[UpstreamProcess]:
    """On a free port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = UpstreamProcess(port)
    try:
        yield process
    finally:
        process.kill()


async def _models(_: Request) -> Response:
    return JSONResponse({"object": "list", "data": [{"id": MODEL, "object": "model"}]})


async def _completions(request: Request) -> Response:
    import torch

    body = await request.json()
    try:
        held = torch.load(io.BytesIO(base64.b64decode(body["prompt_embeds"], validate=True)), weights_only=True)
        length, _ = held.shape
    except Exception as error:
        return JSONResponse({"error": {"message": f"no embeddings: {error}", "type": "BadRequestError"}}, 400)
    words = [f"{length} ", "embedded ", "tokens, ", "sum ", f"{float(held.float().sum()):.2f}"]
    return _answer(body, words, length, "text")


async def _chat(request: Request) -> Response:
    body = await request.json()
    asked.append(body["messages"])
    parts = [part for message in body["messages"] for part in message["content"] if isinstance(part, dict)]
    if SLOWLY in json.dumps(body["messages"]):
        return _answer(body, ["word "] * 100, 7, "chat", 0.25)
    pictures = sum(part.get("type") == "image_url" for part in parts)
    return _answer(body, ["I ", "see ", f"{pictures} ", "pictures"], 7, "chat")


async def _asked(_: Request) -> Response:
    return JSONResponse(asked)


async def _streaming(_: Request) -> Response:
    return JSONResponse(len(streaming))


def _answer(body: dict[str, Any], words: list[str], length: int, way: str, step: float = STEP) -> Response:
    usage = {"prompt_tokens": length, "completion_tokens": len(words), "total_tokens": length + len(words)}
    if body.get("stream"):
        return StreamingResponse(_events(words, usage, way, step), media_type="text/event-stream")
    said = "".join(words)
    told = {"message": {"role": "assistant", "content": said}} if way == "chat" else {"text": said}
    return JSONResponse({"choices": [{"index": 0, "finish_reason": "stop", **told}], "usage": usage})


async def _events(words: list[str], usage: dict[str, int], way: str, step: float) -> AsyncIterator[str]:
    streaming.append(way)
    try:
        for number, word in enumerate(words):
            await asyncio.sleep(step)
            last = "stop" if number == len(words) - 1 else None
            told = {"delta": {"content": word}} if way == "chat" else {"text": word}
            yield f"data: {json.dumps({'choices': [{'index': 0, 'finish_reason': last, **told}]})}\n\n"
    finally:
        streaming.remove(way)
    yield f"data: {json.dumps({'choices': [], 'usage': usage})}\n\ndata: [DONE]\n\n"


if __name__ == "__main__":
    routes = [Route("/v1/models", _models), Route("/v1/asked", _asked), Route("/v1/streaming", _streaming)]
    routes += [Route("/v1/completions", _completions, methods=["POST"])]
    routes += [Route("/v1/chat/completions", _chat, methods=["POST"])]
    uvicorn.run(Starlette(routes=routes), host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
