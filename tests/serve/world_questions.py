"""Questions of a miniature world as chat requests, and the answers to them."""

import json
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from videorouter.routers.systems.query import Query, question_text


@dataclass(frozen=True)
class WorldQuestions:
    """The world in `folder`."""

    folder: Path

    @property
    def rows(self) -> list[dict[str, Any]]:
        """All questions, as the world tells them."""
        return [json.loads(line) for line in (self.folder / "questions.jsonl").read_text().splitlines()]

    def video(self, row: dict[str, Any]) -> Path:
        """The file that a question is about."""
        return self.folder / str(row["video"])

    def data_url(self, number: int) -> str:
        """The video of question `number`, in the request itself."""
        return f"data:video/mp4;base64,{b64encode(self.video(self.rows[number]).read_bytes()).decode()}"

    def body(self, number: int, **more: Any) -> dict[str, Any]:
        """Question `number` in the project's own words, which are what `VideoRouter.answer` feeds; `more` fields beside."""
        row = self.rows[number]
        text = question_text(Query(row["question"], tuple(row["options"])))
        video = {"type": "video_url", "video_url": {"url": self.video(row).as_uri()}}
        return {"messages": [{"role": "user", "content": [video, {"type": "text", "text": text}]}], **more}


def post(address: str, body: dict[str, Any]) -> httpx2.Response:
    """What a server at `address` answers."""
    return httpx2.post(f"{address}/v1/chat/completions", json=body, timeout=120)


def answered(address: str, body: dict[str, Any]) -> dict[str, Any]:
    """The completion object."""
    response = post(address, body)
    assert response.status_code == 200, response.text
    made: dict[str, Any] = response.json()
    return made


def streamed(address: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The chunks of a stream that ends as it should."""
    chunks: list[str] = []
    with httpx2.stream("POST", f"{address}/v1/chat/completions", json=body | {"stream": True}, timeout=120) as response:
        assert response.status_code == 200
        chunks += [line.removeprefix("data: ") for line in response.iter_lines() if line.startswith("data: ")]
    assert chunks.pop() == "[DONE]"
    return [json.loads(chunk) for chunk in chunks]


def metric(address: str, name: str) -> float:
    """The sum of a metric over its labels, at a server's /metrics."""
    lines = httpx2.get(f"{address}/metrics", timeout=30).text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))
