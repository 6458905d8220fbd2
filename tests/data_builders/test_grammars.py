"""Every schema that is sent is one that the engines of constrained decoding compile, and hold replies to."""

import json
import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from videorouter.data_builders.teacher import replies
from videorouter.data_builders.teacher.schemas import sent_schema

PROGRAM = Path(__file__).with_name("grammar_engines.py")
ENGINES = ("xgrammar", "llguidance", "outlines-core")
REASON = {"reason": 'it says "no" — twice'}
PROPOSED = {
    "question": "What?",
    "options": ["a", "b"],
    "answer": "a",
    "evidence": [1, 12],
    "task_type": "detail",
} | REASON
VALID: dict[type[BaseModel], list[dict[str, Any]]] = {
    replies.FrameScores: [{"scores": [{"frame": 1, "score": 0}, {"frame": 2, "score": 100}]} | REASON],
    replies.VideoAnswer: [
        {"answerable": True, "answer": "a stone"} | REASON,
        {"answerable": False, "answer": ""} | REASON,
    ],
    replies.Judgement: [{"same": False} | REASON],
    replies.QuestionCategory: [{"category": category.value} | REASON for category in replies.Category],
    replies.FrameCaptions: [{"captions": [{"frame": 1, "caption": "a stone"}]}],
    replies.ProposedQuestions: [
        {"questions": []},
        {"questions": [PROPOSED, PROPOSED | {"options": [], "evidence": []}]},
    ],
    replies.Coherence: [{"coherent": True} | REASON],
}


def written(reply: dict[str, Any]) -> str:
    """As models write it: letters beyond ASCII as they are."""
    return json.dumps(reply, ensure_ascii=False)


def invalid(reply: dict[str, Any]) -> list[str]:
    """A reply cut off, with a key too few and one too many, with a value of another type, and as words."""
    first = next(iter(reply))
    fewer = {name: value for name, value in reply.items() if name != first}
    others = (fewer, reply | {"confidence": 1}, reply | {first: None})
    return [written(reply)[:-1], *map(written, others), "Sure!"]


@cache
def told() -> dict[str, dict[str, list[bool]]]:
    """What each engine says of each schema's valid and invalid replies, in their order."""
    home = os.environ.get("VIDEOROUTER_GRAMMARS")
    if not home:
        pytest.skip(
            "VIDEOROUTER_GRAMMARS is not set: `make test-grammars` makes an environment with the engines and sets it"
        )
    asked = {
        model.__name__: {"schema": sent_schema(model), "texts": [*map(written, good), *invalid(good[-1])]}
        for model, good in VALID.items()
    }
    run = subprocess.run(
        [f"{home}/bin/python", str(PROGRAM)], input=json.dumps(asked), capture_output=True, text=True, check=True
    )
    found: dict[str, dict[str, list[bool]]] = json.loads(run.stdout)
    return found


def test_every_reply_that_is_asked_for_is_tried() -> None:
    assert set(replies.Reply.__subclasses__()) == set(VALID)


@pytest.mark.grammars
@pytest.mark.timeout(600)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("model", VALID, ids=lambda model: model.__name__)
def test_an_engine_lets_valid_replies_through_and_no_others(engine: str, model: type[BaseModel]) -> None:
    verdicts = told()[engine][model.__name__]
    good = len(VALID[model])
    assert verdicts[:good] == [True] * good
    assert not any(verdicts[good:])


@pytest.mark.parametrize("model", VALID, ids=lambda model: model.__name__)
def test_they_are_valid_and_invalid_to_the_builders_too(model: type[BaseModel]) -> None:
    for reply in VALID[model]:
        model.model_validate_json(json.dumps(reply))
    for text in invalid(VALID[model][-1]):
        with pytest.raises(ValidationError):
            model.model_validate_json(text)
