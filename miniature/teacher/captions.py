"""Frames in words and back, and the questions that are written, or checked, from captions alone.

What captions tell is all that a reader of them knows.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from random import Random
from typing import Any, Final

from videorouter.miniature.teacher.answers import NEEDED, agree, frame_scores
from videorouter.miniature.teacher.perception import Perceived
from videorouter.miniature.world.frame import BACKGROUNDS, GLYPHS, PLACE_NAMES
from videorouter.miniature.world.questions import Question, ask
from videorouter.miniature.world.scenes import Scene, Script
from videorouter.miniature.world.wordings import parse, parse_figure

NOTHING: Final = "Nothing can be made out."
ILLEGIBLE: Final = "illegible"
_SCENE = re.compile(r"A (?P<figure>\w+ \w+) on a (?P<background>\w+) background\. Symbols: (?P<symbols>.+)\.")
_LINE = re.compile(r"^Frame-(\d+): (.+)$", re.MULTILINE)

Told = Mapping[int, Perceived | None]
"""What captions tell, by the frame's number."""


def caption(told: Perceived | None) -> str:
    """What is told of one frame, in one line."""
    if told is None:
        return NOTHING
    symbols = ", ".join(f"{place} {told.glyphs[place] or ILLEGIBLE}" for place in PLACE_NAMES)
    return f"A {' '.join(told.figure)} on a {told.background} background. Symbols: {symbols}."


def read_caption(text: str) -> Perceived | None:
    """What a caption tells; None where it tells of no scene of the world."""
    scene = _SCENE.fullmatch(text.strip())
    figure = parse_figure(scene["figure"]) if scene else None
    if scene is None or figure is None or scene["background"] not in BACKGROUNDS:
        return None
    listed = dict(entry.rsplit(" ", 1) for entry in scene["symbols"].split(", "))
    return Perceived(
        scene["background"],
        figure,
        {place: glyph if (glyph := listed.get(place)) in GLYPHS else None for place in PLACE_NAMES},
    )


def read_captions(text: str) -> dict[int, Perceived | None]:
    """What the lines `Frame-3: ...` of a prompt tell, by the frame's number."""
    return {int(number): read_caption(line) for number, line in _LINE.findall(text)}


def write_questions(told: Told, count: int) -> list[dict[str, Any]]:
    """At most `count` questions of the world about frames of which `told` is all that is known; same arguments, same questions."""
    questions = []
    for question in _questions(_as_told(told), count):
        evidence = list(told)  # of a question about the whole video, also what could not be made out
        if question.intent.policy == "fragment":
            scores = frame_scores(question.intent, list(told.values()))
            evidence = [number for number, score in zip(told, scores, strict=True) if score >= NEEDED]
        questions.append(
            {
                "question": question.text,
                "options": list(question.options),
                "answer": question.answer,
                "evidence": evidence,
                "task_type": question.intent.kind,
                "reason": f"{len(evidence)} frames show what the answer rests on",
            }
        )
    return questions


def fits(question: str, options: Sequence[str] | None, answer: str, told: Told) -> bool:
    """Whether the captions of its evidence, every one of them, bear out a question's answer."""
    intent = parse(question)
    return intent is not None and agree(intent, list(told.values()), options) == answer


def _questions(script: Script, count: int) -> list[Question]:
    """As many of `count` questions as the script is good for."""
    for wanted in range(count, 0, -1):
        with suppress(ValueError, IndexError):  # too few scenes, or none of a kind that a question needs
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
