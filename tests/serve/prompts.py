"""Questions about videos as the parts of a message, in the words that the miniature's bases were trained on."""

import base64
import io
from pathlib import Path
from typing import Any

from PIL import Image

from tests.serve.chat_bodies import data_url, text
from videorouter.eval.benchmarks.items import Item
from videorouter.video.decode import sample_frames


def prompt(item: Item) -> str:
    options = "\n".join(f"({letter}) {option}" for letter, option in zip("ABCDE", item.options, strict=False))
    return f"{item.question}\nOptions:\n{options}\nAnswer with the option's letter only."


def video_part(url: str) -> dict[str, Any]:
    return {"type": "video_url", "video_url": {"url": url}}


def messages(*parts: Any) -> list[Any]:
    """One message of a user, in a list that typed clients take."""
    return [{"role": "user", "content": list(parts)}]


def about(item: Item, url: str | None = None) -> list[Any]:
    """The messages that ask `item`, of the file itself or of what `url` shows."""
    return messages(video_part(url or item.video.as_uri()), text(prompt(item)))


def data_video(path: Path) -> str:
    return data_url(path.read_bytes(), "video/mp4")


def frames(path: Path, count: int) -> tuple[list[str], list[float]]:
    """Frames of a video as PNG data URLs, and their seconds."""
    sampled = sample_frames(path, count)
    return [_png(frame) for frame in sampled.frames], sampled.seconds


def _png(frame: Any) -> str:
    file = io.BytesIO()
    Image.fromarray(frame).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
