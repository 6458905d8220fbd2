"""Questions of the miniature's world about its videos, as bodies of chat requests."""

import base64
import json
from pathlib import Path
from typing import Any

HOW = "Answer with the option's letter only."


def about(video: str, question: str, **more: Any) -> dict[str, Any]:
    """A question about the video at a URL."""
    parts = [{"type": "video_url", "video_url": {"url": video}}, {"type": "text", "text": question}]
    return {"messages": [{"role": "user", "content": parts}], "max_tokens": 24, **more}


def videos_of(world: Path) -> list[Path]:
    """The world's video files."""
    return sorted((world / "videos").glob("*.mp4"))


def first_questions(world: Path, most: int) -> list[dict[str, Any]]:
    """The first question of each of the world's videos, by `file://`, as bodies."""
    found: dict[str, dict[str, Any]] = {}
    for line in (world / "questions.jsonl").read_text(encoding="utf-8").splitlines():
        asked = json.loads(line)
        letters = "\n".join(f"({letter}) {option}" for letter, option in zip("ABCDEF", asked["options"], strict=False))
        text = f"{asked['question']}\n{letters}\n{HOW}"
        found.setdefault(asked["video"], about((world / asked["video"]).resolve().as_uri(), text))
    return list(found.values())[:most]


def data_url(content: bytes, mime: str = "video/mp4") -> str:
    """As clients write it."""
    return f"data:{mime};base64,{base64.b64encode(content).decode('ascii')}"
