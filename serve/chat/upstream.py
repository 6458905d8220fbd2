"""The messages for an upstream that is sent chosen frames as pictures in place of a video (form of lmms-eval for Qwen3-VL)."""

from collections.abc import Iterator, Sequence
from typing import Any

from videorouter.serve.chat.conversation import Pictures
from videorouter.serve.chat.request import ChatRequest


def with_pictures(
    request: ChatRequest,
    pictures: Sequence[tuple[float | None, str]],
    frames: Sequence[int] | None = None,
    detail: str | None = None,
) -> list[dict[str, Any]]:
    """The request's messages with `pictures`, (second, URL) each, where the video stood; the request must show one.

    A picture is a text part `<12.5 seconds>`, where its second is known, and an `image_url` part. They stand where the video's
    part, or the first of its pictures, stood; labels of pictures are gone, and all else is as received. `frames` says which of
    the request's pictures each of them was: they then stand there, so that texts between pictures keep their places, and keep
    what the client wrote beside their URLs, such as `detail`, unless that is given here: what the pictures' sizes were made for.
    """
    place = request.place
    if place is None:
        raise ValueError("a request that shows no video has none to replace: send its messages as they are")
    if frames is not None and len(frames) != len(pictures):
        raise ValueError(f"{len(pictures)} pictures of {len(frames)} frames: give one frame for each")
    received: list[dict[str, Any]] = list(request.body["messages"])
    for number, part in sorted(place.again, reverse=True):
        content = received[number]["content"]
        received[number] = {**received[number], "content": [*content[:part], *content[part + 1 :]] or ""}
    content = request.body["messages"][place.message]["content"]
    if frames is None or not isinstance(request.shown, Pictures) or len(place.parts) == 1:
        stands = {place.parts[0]: list(range(len(pictures)))}
    else:
        stands = {place.parts[frame]: [] for frame in frames}
        for picture, frame in enumerate(frames):
            stands[place.parts[frame]].append(picture)
    parts: list[Any] = []
    told = {} if detail is None else {"detail": detail}
    replaced, removed = set(place.parts), {part for number, part in place.again if number == place.message}
    for number, part in enumerate(content):
        if number in replaced:
            for picture in stands.get(number, ()):
                parts += _shown(*pictures[picture], _beside_url(part) | told)
        elif number in place.left:
            parts += _left(part, place.left[number])
        elif number not in removed:
            parts.append(part)
    received[place.message] = {**request.body["messages"][place.message], "content": parts}
    return received


def _shown(second: float | None, url: str, beside: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if second is not None:
        yield {"type": "text", "text": f"<{second:.1f} seconds>"}
    yield {"type": "image_url", "image_url": {**beside, "url": url}}


def _beside_url(part: Any) -> dict[str, Any]:
    """Options of a picture that a client sent: what its `image_url` holds beside the URL."""
    held = part.get("image_url") if isinstance(part, dict) else None
    return {name: value for name, value in held.items() if name != "url"} if isinstance(held, dict) else {}


def _left(part: Any, text: str) -> Iterator[Any]:
    """A text part without its label, or nothing where that was all."""
    if isinstance(part, str):
        if part == text or text.strip():
            yield text
    elif text in (part.get("text"), part.get("refusal")):
        yield part
    elif text.strip():
        yield {**part, "text": text}
