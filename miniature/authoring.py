"""What the miniature teacher makes of captions: questions asked backwards from them, and whether a question fits them."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from random import Random
from typing import Any

from videorouter.miniature.geometry import PLACE_NAMES
from videorouter.miniature.knowledge import NEEDED, agree, frame_scores
from videorouter.miniature.perception import Perceived
from videorouter.miniature.questions import Riddle, ask
from videorouter.miniature.scenes import Scene, Script
from videorouter.miniature.wordings import parse

Told = Mapping[int, Perceived | None]
"""What captions tell, by the frame's number."""


def write_questions(told: Told, count: int) -> list[dict[str, Any]]:
    """At most `count` questions of the world about frames of which `told` is all that is known; same arguments, same questions."""
    questions = []
    for riddle in _riddles(_as_told(told), count):
        evidence = list(told)  # of a question about the whole video, also what could not be made out
        if riddle.asked.policy == "fragment":
            scores = frame_scores(riddle.asked, list(told.values()))
            evidence = [number for number, score in zip(told, scores, strict=True) if score >= NEEDED]
        questions.append(
            {
                "question": riddle.text,
                "options": list(riddle.options),
                "answer": riddle.answer,
                "evidence": evidence,
                "task_type": riddle.asked.kind,
                "reason": f"{len(evidence)} frames show what the answer rests on",
            }
        )
    return questions


def fits(question: str, options: Sequence[str] | None, answer: str, told: Told) -> bool:
    """Whether the captions of its evidence, every one of them, bear out a question's answer."""
    asked = parse(question)
    return asked is not None and agree(asked, list(told.values()), options) == answer


def _riddles(script: Script, count: int) -> list[Riddle]:
    """As many of `count` riddles as the script is good for."""
    for wanted in range(count, 0, -1):
        with suppress(ValueError, IndexError):  # too few scenes, or none of a kind that a riddle needs
            return ask(script, Random(f"write {script.scenes}"), "train", wanted)
    return []


def _as_told(told: Told) -> Script:
    """The scenes as the captions tell them, one unit long each: neighbouring frames with one cue are one scene."""
    frames = [frame for frame in told.values() if frame and all(frame.glyphs.values())]
    scenes = [next(alike) for _, alike in groupby(frames, lambda frame: (frame.background, frame.figure))]
    return Script(
        tuple(
            Scene(frame.background, *frame.figure, tuple(str(frame.glyphs[p]) for p in PLACE_NAMES), unit, unit + 1)
            for unit, frame in enumerate(scenes)
        ),
        total=len(scenes),
        fps=1,
    )
