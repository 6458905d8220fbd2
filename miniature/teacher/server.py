"""The miniature teacher: an OpenAI-compatible chat-completions server that looks at the images it is sent."""

import asyncio
import base64
import json
import re
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from typing import Any, Final

from videorouter.miniature.teacher.answers import answer, answer_beyond, frame_scores, names_answer
from videorouter.miniature.teacher.captions import caption, fits, read_captions, write_questions
from videorouter.miniature.teacher.faults import ContentFault, Faults, Misreadings
from videorouter.miniature.teacher.perception import Perceived, perceive
from videorouter.miniature.world.wordings import Intent, parse

MODEL: Final = "miniature-teacher"
RETRY_AFTER: Final = "0.2"
FAITHFUL: Final = Misreadings()
CATEGORIES: Final = {
    "glyph_by_shape": "detail_at_a_moment",
    "glyph_by_background": "detail_at_a_moment",
    "place_of_glyph": "place_at_a_moment",
    "count_cue": "counting",
    "never_shown": "absence",
    "top_background": "overall_theme",
}


def serve(
    port: int = 8765,
    seed: int = 0,
    malformed: float = 0.0,
    truncated: float = 0.0,
    wrong_schema: float = 0.0,
    rate_limit: float = 0.0,
    server_error: float = 0.0,
    hang: float = 0.0,
    hang_seconds: float = 30.0,
    min_glyph_pixels: float = 16.0,
    bad_captions: float = 0.0,
) -> None:
    """Serve chat completions about pictures of the miniature world on 127.0.0.1 until stopped.

    Args:
        port: Port to listen on; 0 takes a free one, which is printed.
        seed: Of the faults.
        malformed: Share of replies that are no JSON.
        truncated: Share of replies that end early.
        wrong_schema: Share of replies that are JSON of another schema.
        rate_limit: Share of attempts answered with 429 and Retry-After.
        server_error: Share of attempts answered with 500.
        hang: Share of attempts that wait `hang_seconds` first.
        hang_seconds: Seconds a hanging attempt waits.
        min_glyph_pixels: A glyph lower than this in the picture sent can not be told.
        bad_captions: Share of scenes whose captions tell something else than the pictures show.

    Raises:
        ValueError: where a share or the port is none.
        OSError: where the port is taken.
    """
    import uvicorn

    shares = {"malformed": malformed, "truncated": truncated, "wrong_schema": wrong_schema, "rate_limit": rate_limit}
    shares |= {"server_error": server_error, "hang": hang, "bad_captions": bad_captions}
    if wrong := [name for name, share in shares.items() if not 0 <= share <= 1]:
        raise ValueError(f"{wrong[0]} is {shares[wrong[0]]}: give a share, from 0 to 1")
    if not 0 <= port <= 65535:
        raise ValueError(f"port is {port}: give one from 1 to 65535, or 0 for a free one")
    faults = Faults(seed, malformed, truncated, wrong_schema, rate_limit, server_error, hang)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(128)
    print(f"miniature teacher at http://127.0.0.1:{listener.getsockname()[1]}/v1", flush=True)
    teacher = application(faults, min_glyph_pixels, hang_seconds, Misreadings(bad_captions, seed))
    config = uvicorn.Config(teacher, log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


def application(
    faults: Faults,
    min_glyph_pixels: float = 16.0,
    hang_seconds: float = 30.0,
    misreadings: Misreadings = FAITHFUL,
) -> Any:
    """The ASGI application: /v1/chat/completions, /v1/models, and /health, which counts what was answered."""
    from starlette.applications import Starlette
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    answered = 0
    # One thread: questions about one video come together, and several would look at the same pictures at once.
    looking = ThreadPoolExecutor(1, "looking")

    async def completions(request: Request) -> JSONResponse:
        nonlocal answered
        try:
            body = await request.body()
        except ClientDisconnect:  # a builder that was killed; nobody reads this
            return JSONResponse({"error": {"message": "client gone"}}, 499)
        match faults.transient(body):
            case "rate_limit":
                error = {"error": {"message": "rate limit reached", "type": "rate_limit_error"}}
                return JSONResponse(error, 429, {"Retry-After": RETRY_AFTER})
            case "server_error":
                return JSONResponse({"error": {"message": "internal error", "type": "server_error"}}, 500)
            case "hang":
                await asyncio.sleep(hang_seconds)
        try:
            look = partial(complete, json.loads(body), min_glyph_pixels, faults.content(body), misreadings)
            completion = await asyncio.get_running_loop().run_in_executor(looking, look)
        except (ValueError, KeyError, TypeError) as error:
            return JSONResponse({"error": {"message": f"bad request: {error!r}", "type": "invalid_request_error"}}, 400)
        answered += 1
        return JSONResponse(completion)

    async def models(_: Request) -> JSONResponse:
        return JSONResponse({"object": "list", "data": [{"id": MODEL, "object": "model"}]})

    async def health(_: Request) -> JSONResponse:
        return JSONResponse({"status": "ok", "answered": answered})

    return Starlette(
        routes=[
            Route("/v1/chat/completions", completions, methods=["POST"]),
            Route("/v1/models", models),
            Route("/health", health),
        ]
    )


def complete(
    request: dict[str, Any],
    min_glyph_pixels: float,
    fault: ContentFault | None = None,
    misreadings: Misreadings = FAITHFUL,
) -> dict[str, Any]:
    """One chat completion. Raises `ValueError` or `KeyError` for a request whose schema is none of those it knows."""
    content: Any = next(message["content"] for message in request["messages"] if message["role"] == "user")
    parts: list[dict[str, Any]] = [{"type": "text", "text": content}] if isinstance(content, str) else content
    text = "\n".join(part["text"] for part in parts if part["type"] == "text")
    images = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    schema = request["response_format"]["json_schema"]["schema"]
    seen = [_look(image, min_glyph_pixels) for image in images]
    if "captions" in schema["properties"]:
        seen = [misreadings.told(one, image) for one, image in zip(seen, images, strict=True)]
    reply = _damaged(json.dumps(_reply(schema, text, seen)), fault)
    tokens_in, tokens_out = len(text) // 4 + 256 * len(images), len(reply) // 4
    return {
        "id": "chatcmpl-miniature",
        "object": "chat.completion",
        "created": 0,
        "model": request.get("model", MODEL),
        "choices": [{"index": 0, "message": {"role": "assistant", "content": reply}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": tokens_in, "completion_tokens": tokens_out, "total_tokens": tokens_in + tokens_out,
        },
    }  # fmt: skip


def _reply(schema: dict[str, Any], text: str, seen: Sequence[Perceived | None]) -> dict[str, Any]:
    question = re.search(r"^Question: (.+)$", text, re.MULTILINE)
    intent = parse(question[1]) if question else None
    properties = schema["properties"]
    if "captions" in properties:
        return {"captions": [{"frame": i, "caption": caption(told)} for i, told in enumerate(seen, start=1)]}
    if "questions" in properties:
        wanted_count = re.search(r"(\d+) questions", text)
        return {"questions": write_questions(read_captions(text), int(wanted_count[1]) if wanted_count else 8)}
    if "coherent" in properties:
        return _coherence(text)
    if "scores" in properties:
        scores = [{"frame": i, "score": score} for i, score in enumerate(frame_scores(intent, seen), start=1)]
        return {"scores": scores, "reason": _reason(intent)}
    if "answerable" in properties:
        find = answer_beyond if "not among the options" in text else answer
        found = find(intent, seen, _options(text))
        return {"answerable": found is not None, "answer": found or "", "reason": _reason(intent)}
    if "category" in properties:
        wanted = CATEGORIES[intent.kind] if intent else "other"
        known = _enumerated(schema, "category")
        return {"category": wanted if wanted in known else known[-1], "reason": _reason(intent)}
    if "same" in properties:
        known_answer, reply = (re.search(rf"^{name}: (.+)$", text, re.MULTILINE) for name in ("Known answer", "Reply"))
        same = bool(known_answer and reply and names_answer(reply[1], known_answer[1]))
        return {"same": same, "reason": f"the reply {'says' if same else 'does not say'} the known answer"}
    raise ValueError(f"no answer known for a schema with {sorted(properties)}")


def _coherence(text: str) -> dict[str, Any]:
    question, answered = (re.search(rf"^{name}: (.+)$", text, re.MULTILINE) for name in ("Question", "Answer"))
    if question is None or answered is None:
        raise ValueError("coherence is asked for without a question and its answer")
    coherent = fits(question[1], _options(text), answered[1], read_captions(text))
    return {
        "coherent": coherent,
        "reason": "the descriptions bear it out" if coherent else "not every description does",
    }


def _options(text: str) -> list[str] | None:
    return re.findall(r"^\([A-Z]\) (.+)$", text, re.MULTILINE) or None


def _reason(intent: Intent | None) -> str:
    return f"recognised as {intent.kind}" if intent else "the question is not of this world"


def _enumerated(schema: dict[str, Any], name: str) -> list[str]:
    """The values a property may take, also where the schema refers to a definition."""
    definition = schema["properties"][name]
    if "$ref" in definition:
        definition = schema["$defs"][definition["$ref"].rsplit("/", 1)[-1]]
    return definition["enum"]


def _damaged(reply: str, fault: ContentFault | None) -> str:
    match fault:
        case "malformed":
            return f"Sure! Here is what I see: {reply[1:]}"
        case "truncated":
            return reply[: len(reply) // 2]
        case "wrong_schema":
            return json.dumps({"result": "fine"})
    return reply


@lru_cache(maxsize=65_536)
def _look(url: str, min_glyph_pixels: float) -> Perceived | None:
    """Perceive a data URL; the same picture is looked at once. Anything but a data URL shows nothing."""
    header, _, data = url.partition(",")
    if not header.startswith("data:image/") or not header.endswith(";base64"):
        return None
    return perceive(base64.b64decode(data), min_glyph_pixels)
