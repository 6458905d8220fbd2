"""Reads the body of a 200: the reply and its cost, or the error it holds, or why it is neither."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from videorouter.data_builders.teacher.complaints import LONGEST_BODY, Complaint, complaint_inside
from videorouter.data_builders.teacher.endings import Ending, ending_of
from videorouter.data_builders.teacher.errors import TeacherReplyError
from videorouter.data_builders.teacher.journal import Answer
from videorouter.data_builders.teacher.reply_text import without_surrogates
from videorouter.data_builders.teacher.request import Request
from videorouter.data_builders.teacher.token_counts import usage_of

_THOUGHT_ALOUD = ("reasoning_content", "reasoning")
"""Where some servers leave the whole reply of a model that reasons, its content being empty."""


def read_completion(request: Request, body: bytes) -> Answer | Complaint:
    """The reply in a chat completion, or the error inside. Raises `TeacherReplyError` for what is no chat completion."""
    text = without_surrogates(decoded(body))
    told = _parsed(text)
    if (error := complaint_inside(told, text)) is not None:
        return error
    choice = _choice(told, text)
    if choice.get("error"):
        return complaint_inside({"error": choice["error"]}, text) or _unnamed(text)
    ending = ending_of(choice.get("finish_reason"))
    if ending is Ending.FAILED:
        return _unnamed(text)
    message = choice["message"]
    reply, refusal = _text(message.get("content")), _refusal(message)
    if not reply.strip() and ending is not Ending.CUT_OFF:  # else these are thoughts that came to no end
        reply = next((said for name in _THOUGHT_ALOUD if "{" in (said := _text(message.get(name)))), "")
    if refusal and "{" not in reply:
        ending, reply = Ending.REFUSED, refusal
    reply = without_surrogates(reply)
    return Answer(request.model, reply, usage_of(told.get("usage"), request.text, len(request.pictures), reply), ending)


def decoded(body: bytes) -> str:
    """The text of a body: of the Unicode encoding that it begins like, whatever its header says; U+FFFD for what is no text."""
    return body.decode(json.detect_encoding(body), errors="replace")


def _parsed(text: str) -> Any:
    """The JSON of a body; of server-sent events, which nobody asked for, the completion that they amount to."""
    start = text.lstrip()[:100]
    if start.startswith(("data:", "event:", ":")):
        return _put_together(text)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        found = "nothing" if not start else "HTML" if start.startswith("<") else "no JSON"
        raise _no_completion(f"{found} ({error})" if found == "no JSON" else found, text, found) from error


def _put_together(text: str) -> Any:
    """One completion out of the chunks of a stream; the first error in it stands for all."""
    said: list[str] = []
    reason = usage = None
    for chunk in _chunks(text):
        if complaint_inside(chunk, "") is not None:
            return chunk
        usage = chunk.get("usage") or usage
        for choice in _dicts(chunk.get("choices"))[:1]:
            delta = choice.get("delta")
            said.append(_text(delta.get("content")) if isinstance(delta, Mapping) else "")
            reason = choice.get("finish_reason") or reason
    if not said:
        raise _no_completion("server-sent events without a choice", text)
    return {"choices": [{"message": {"content": "".join(said)}, "finish_reason": reason}], "usage": usage}


def _chunks(text: str) -> Iterator[Mapping[str, Any]]:
    for line in text.splitlines():
        name, _, data = line.partition(":")
        if name == "data" and data.strip() != "[DONE]":
            try:
                chunk = json.loads(data)
            except (ValueError, RecursionError) as error:
                raise _no_completion("server-sent events of no JSON", text) from error
            if isinstance(chunk, Mapping):
                yield chunk


def _choice(told: Any, text: str) -> Mapping[str, Any]:
    """The first choice, with a message in it or an error."""
    if not isinstance(told, Mapping):
        kind = (
            "null"
            if told is None
            else {list: "a list", str: "a string", bool: "a truth value"}.get(type(told), "a number")
        )
        raise _no_completion(kind, text)
    choices = _dicts(told.get("choices"))
    if not choices:
        raise _no_completion("without choices", text)
    choice = choices[0]
    if not isinstance(choice.get("message"), Mapping) and not choice.get("error"):
        raise _no_completion("a choice without a message", text)
    return choice


def _text(content: Any) -> str:
    """The text of a message's content: of parts, those that are text; an object or a number is JSON that was parsed already."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(part if isinstance(part, str) else _text_of_part(part) for part in content)
    if isinstance(content, Mapping) and content.get("type") in ("text", "output_text"):
        return _text_of_part(content)
    return json.dumps(content, ensure_ascii=False)


def _text_of_part(part: Any) -> str:
    if not isinstance(part, Mapping) or part.get("type", "text") not in ("text", "output_text"):
        return ""
    text = part.get("text")
    return str(text.get("value", "")) if isinstance(text, Mapping) else text if isinstance(text, str) else ""


def _refusal(message: Mapping[str, Any]) -> str:
    """What the model says in place of a reply, beside the content or as a part of it."""
    beside = message.get("refusal")
    parts = [part.get("refusal") for part in _dicts(message.get("content"))]
    return next((told if isinstance(told, str) else json.dumps(told) for told in (beside, *parts) if told), "")


def _dicts(values: Any) -> list[Mapping[str, Any]]:
    return [one for one in values if isinstance(one, Mapping)] if isinstance(values, list) else []


def _unnamed(text: str) -> Complaint:
    """An error of which a choice says only that it came."""
    return Complaint(502, None, "the reply ended in an error", text[:LONGEST_BODY], inside=True)


def _no_completion(what: str, text: str, shape: str | None = None) -> TeacherReplyError:
    start = " ".join(text.split())[:200]
    reason = f"the teacher's response is no chat completion but {what}" + (f": {start}" if start else "")
    return TeacherReplyError(reason, text[:LONGEST_BODY], f"no chat completion: {shape or what}")
