"""What `content` can be: parts, thoughts, fences, nothing, cut off, or JSON that is not quite what was asked for."""

import json
from collections.abc import Callable
from typing import Any

from tests.loopback.endpoint.asked import Asked, first_try, of_kind
from tests.loopback.endpoint.mode import ASIDE, FINE, REFUSED, Behaviour, Completion, Mode, mode
from tests.loopback.endpoint.refusals import FIRST_CLIP, ODD_CLIP
from tests.loopback.endpoint.sent import Sent, told

SCORES = of_kind("FrameScores")


def content(of: Callable[[str], Any], *, good: bool = False, finish: str | None = "stop", **fields: Any) -> Behaviour:
    """Another content, a function of the good one's text; `good` where a reply can be read out of it."""

    def behave(asked: Asked, completion: Completion) -> Sent:
        choice = completion["choices"][0]
        choice["message"] |= {"content": of(choice["message"]["content"]), **fields}
        choice["finish_reason"] = finish
        return told(completion, good=good)

    return behave


def message(of: Callable[[str], dict[str, Any]], *, good: bool = False) -> Behaviour:
    """A whole other message, a function of the good one's text."""

    def behave(asked: Asked, completion: Completion) -> Sent:
        completion["choices"][0]["message"] = of(completion["choices"][0]["message"]["content"])
        return told(completion, good=good)

    return behave


def scored(**change: Any) -> Callable[[str], str]:
    """The good scores, each changed so."""

    def of(text: str) -> str:
        reply = json.loads(text)
        return json.dumps(reply | {"scores": [score | change for score in reply["scores"]]})

    return of


def as_floats(text: str) -> str:
    reply = json.loads(text)
    return json.dumps(reply | {"scores": [{"frame": s["frame"], "score": float(s["score"])} for s in reply["scores"]]})


def without_a_frame(text: str) -> str:
    reply = json.loads(text)
    return json.dumps(reply | {"scores": reply["scores"][1:]})


THOUGHT = "Let me look at {each} frame: [1, 2] ..."
MODES: list[Mode] = [
    mode(
        "parts",
        "content is a list of text parts",
        FINE,
        content(lambda t: [{"type": "text", "text": t[:5]}, {"type": "text", "text": t[5:]}], good=True),
    ),
    mode(
        "parts_with_thinking",
        "content is a part of thinking, then one of text (Mistral)",
        FINE,
        content(
            lambda t: [
                {"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]},
                {"type": "text", "text": t},
            ],
            good=True,
        ),
    ),
    mode("object", "content is the object itself, not its text", (FINE, REFUSED), content(json.loads)),
    mode("number", "content is a number", REFUSED, content(lambda t: 7)),
    mode("nothing", "content is null, to all", REFUSED, content(lambda t: None)),
    mode("nothing_for_one_clip", "content is null, to one clip", ASIDE, content(lambda t: None), ODD_CLIP),
    mode("empty", "content is empty, to all", REFUSED, content(lambda t: "")),
    mode(
        "blanks",
        "content is 20,000 blanks, cut off: a grammar that allows them",
        REFUSED,
        content(lambda t: " \n" * 10_000, finish="length"),
    ),
    mode(
        "reasoning_beside",
        "`reasoning_content` beside the content",
        FINE,
        content(lambda t: t, good=True, reasoning_content=THOUGHT),
    ),
    mode(
        "reasoning_instead",
        "content null, the reply in `reasoning_content`",
        (FINE, REFUSED),
        message(lambda t: {"role": "assistant", "content": None, "reasoning_content": t}),
    ),
    mode(
        "thoughts",
        "`<think>...</think>` before the JSON",
        FINE,
        content(lambda t: f"<think>\n{THOUGHT}\n</think>\n\n{t}", good=True),
    ),
    mode(
        "thoughts_unopened",
        "`...</think>` before the JSON: the template opened it",
        FINE,
        content(lambda t: f"{THOUGHT}\n</think>\n{t}", good=True),
    ),
    mode("fences", "JSON in ```` ```json ```` fences", FINE, content(lambda t: f"```json\n{t}\n```", good=True)),
    mode(
        "fences_and_words",
        "words around fenced JSON",
        (FINE, REFUSED),
        content(lambda t: f"Here is the JSON you asked for:\n\n```\n{t}\n```\nAnything else?"),
    ),
    mode("bom", "a byte-order mark before the JSON", FINE, content(lambda t: "\ufeff" + t, good=True)),
    mode(
        "surrogate",
        "half a surrogate pair in the reason",
        (FINE, REFUSED),
        content(lambda t: t[:-2] + " \\ud83d" + t[-2:]),
        reworded=True,
    ),
    mode(
        "surrogate_unescaped",
        "half a surrogate pair after the JSON, as the outer JSON may carry it",
        (FINE, REFUSED),
        content(lambda t: t + "\ud83d"),
    ),
    mode("nul", "NUL characters after the JSON", (FINE, REFUSED), content(lambda t: t + "\0\0")),
    mode(
        "repeated_key",
        "a key twice in the reply",
        FINE,
        content(lambda t: '{"scores": [], ' + t[1:] if "scores" in t else t, good=True),
        SCORES,
    ),
    mode("floats", "scores such as 10.0", FINE, content(as_floats, good=True), SCORES),
    mode("scores_beyond", "scores of 101", REFUSED, content(scored(score=101)), SCORES),
    mode("scores_huge", "scores of 5,000 digits", REFUSED, content(lambda t: t.replace("100", "1" * 5000)), SCORES),
    mode("scores_nan", "scores of NaN", REFUSED, content(scored(score=float("nan"))), SCORES),
    mode("frame_missing", "a frame without a score, to all", REFUSED, content(without_a_frame), SCORES),
    mode(
        "frame_missing_once",
        "a frame without a score, until it is corrected",
        FINE,
        lambda a, g: content(without_a_frame)(a, g) if len(a.body["messages"]) == 1 else None,
        SCORES,
    ),
    mode("another_schema", "JSON of another schema", REFUSED, content(lambda t: '{"result": "fine"}')),
    mode(
        "another_schema_for_first_clip",
        "JSON of another schema, to the first clip",
        ASIDE,
        content(lambda t: '{"result": "fine"}'),
        FIRST_CLIP,
    ),
    mode("extra_key", "a key that the schema has not", REFUSED, content(lambda t: '{"confidence": 1, ' + t[1:])),
    mode(
        "not_quite_json",
        "a comma too many, and single quotes",
        REFUSED,
        content(lambda t: t.replace('"', "'")[:-1] + ",}"),
    ),
    mode("deep", "100,000 brackets", REFUSED, content(lambda t: "[" * 100_000)),
    mode(
        "words",
        "words in place of JSON, to all",
        REFUSED,
        content(lambda t: "The relevant frames are the second and the third."),
    ),
    mode(
        "words_once",
        "words in place of JSON, until it is corrected",
        FINE,
        lambda a, g: content(lambda t: "Sure!")(a, g) if len(a.body["messages"]) == 1 else None,
    ),
    mode(
        "cut_off",
        "finish reason `length` in the middle of the JSON, to all",
        REFUSED,
        content(lambda t: t[: len(t) // 2], finish="length"),
    ),
    mode(
        "cut_off_for_one_clip",
        "finish reason `length`, to one clip",
        ASIDE,
        content(lambda t: t[: len(t) // 2], finish="length"),
        ODD_CLIP,
    ),
    mode(
        "tool_call",
        "the reply as the arguments of a tool call",
        (FINE, REFUSED),
        message(
            lambda t: {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "1", "type": "function", "function": {"name": "reply", "arguments": t}}],
            }
        ),
    ),
    mode(
        "finish_unknown",
        "a finish reason nobody knows, the reply whole",
        FINE,
        content(lambda t: t, good=True, finish="end_turn"),
    ),
    mode("finish_null", "no finish reason", FINE, content(lambda t: t, good=True, finish=None)),
    mode(
        "words_first_try",
        "words to the first try of each request",
        (FINE, REFUSED),
        content(lambda t: "Hm."),
        first_try,
    ),
]
