"""What a well-behaved teacher replies: a pure function of the request, valid for each of the builders' schemas."""

import hashlib
import re
from collections.abc import Sequence
from typing import Any

from tests.loopback.endpoint.asked import Asked

INVENTED = "What is shown at this moment of"
"""How the questions that it proposes itself begin, and by which it knows them again."""


def sensible_reply(asked: Asked) -> dict[str, Any]:
    """A reply to any of the builders' requests, out of its words and the number of its pictures alone.

    In each window one frame is relevant, which one is a function of the words; existing questions are answered without
    their frames, but wrongly; proposed ones are answered from their frames alone. Raises `ValueError` for other schemas.
    """
    asks, count = asked.schema.get("properties", {}), len(asked.pictures)
    if "scores" in asks:
        relevant = _draw(asked.text, max(count, 1))
        scores = [{"frame": i + 1, "score": 100 if i == relevant else 10} for i in range(count)]
        return {"scores": scores, "reason": f"frame {relevant + 1} shows it"}
    if "captions" in asks:
        return {"captions": [{"frame": i + 1, "caption": f"picture {_name(u)}"} for i, u in enumerate(asked.pictures)]}
    if "questions" in asks:
        return {"questions": [_proposal(asked.text, number) for number in range(2)]}
    if "answerable" in asks:
        proposed, without = INVENTED in asked.text, "not among the options" in asked.text
        options = re.findall(r"^\([A-Z]\) (.+)$", asked.text, re.MULTILINE)
        answer = options[_draw(asked.text, len(options))] if options else f"moment {_draw(asked.text, 90) + 10}"
        return {"answerable": not (proposed and without), "answer": "a thing" if proposed else answer, "reason": "seen"}
    if "category" in asks:
        names = _enumerated(asked.schema, "category")
        return {"category": names[_draw(asked.text, 2)], "reason": "by its words"}
    if "same" in asks:
        return {"same": False, "reason": "they differ"}
    if "coherent" in asks:
        return {"coherent": True, "reason": "they fit"}
    raise ValueError(f"no reply known for a schema with {sorted(asks)}")


def sensible_completion(asked: Asked, content: Any) -> dict[str, Any]:
    """A chat completion with that content and a count of tokens."""
    message = {"role": "assistant", "content": content, "refusal": None}
    tokens = {"prompt_tokens": 20 + 256 * len(asked.pictures), "completion_tokens": 30}
    return {
        "id": f"chatcmpl-{asked.number}",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": asked.body.get("model", "teacher"),
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": tokens | {"total_tokens": sum(tokens.values())},
    }


def _proposal(text: str, number: int) -> dict[str, Any]:
    frames = len(re.findall(r"^Frame-\d+", text, re.MULTILINE)) or 1
    frame = (_draw(text, frames) + number) % frames + 1
    question = f"{INVENTED} frame {frame}, of {_name(text)}?"
    told = {"options": [], "answer": "a thing", "evidence": [frame], "task_type": "detail", "reason": "it is there"}
    return {"question": question} | told


def _draw(text: str, among: int) -> int:
    """A number below `among` that is a pure function of the text."""
    return int(hashlib.sha256(text.encode()).hexdigest(), 16) % among


def _name(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _enumerated(schema: dict[str, Any], name: str) -> Sequence[str]:
    definition = schema["properties"][name]
    if "$ref" in definition:
        definition = schema["$defs"][definition["$ref"].rsplit("/", 1)[-1]]
    names: Sequence[str] = definition["enum"]
    return names
