"""What is asked about a script: questions whose answers and evidence follow from the scenes alone."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from random import Random
from typing import Final

from videorouter.miniature.world.frame import BACKGROUNDS, COLOURS, PLACE_NAMES, SHAPES, places_beside
from videorouter.miniature.world.scenes import MOST_REPEATS, Scene, Script
from videorouter.miniature.world.wordings import KINDS, Intent, name_of, say

Span = tuple[int, int]

FRAGMENT_SHARE: Final = 0.6
PATIENCE: Final = 200
"""Draws without a new question after which a video is held to have no more to ask."""


@dataclass(frozen=True)
class Question:
    """A question with its answer among the options, and the frames `[first, end)` that carry the evidence."""

    intent: Intent
    text: str
    options: tuple[str, ...]
    answer: str
    evidence: tuple[Span, ...]


def ask(script: Script, random: Random, split: str, count: int) -> list[Question]:
    """`count` different questions about one video, six in ten of them fragment questions, kinds in turn.

    Raises:
        ValueError: where the video has not that many different questions of the kinds wanted.
    """
    fragments = round(FRAGMENT_SHARE * count)
    questions = []
    for policy, wanted in (("fragment", fragments), ("global", count - fragments)):
        makers = [MAKERS[kind] for kind, wordings in KINDS.items() if wordings.policy == policy]
        questions += _different(script, random, split, makers, wanted)
    random.shuffle(questions)
    return questions


def _different(script: Script, random: Random, split: str, makers: list["Maker"], wanted: int) -> list[Question]:
    """`wanted` questions no two of which ask the same; the makers take turns, those that run dry leave the circle."""
    found: dict[tuple[str, tuple[tuple[str, str], ...], frozenset[str]], Question] = {}
    circle = random.sample(makers, len(makers))
    while len(found) < wanted and circle:
        maker = circle.pop(0)
        for _ in range(PATIENCE):
            question = maker(script, random, split)
            key = (question.intent.kind, tuple(sorted(question.intent.slots.items())), frozenset(question.options))
            if key not in found:
                found[key] = question
                circle.append(maker)
                break
    if len(found) < wanted:
        raise ValueError(f"a video has only {len(found)} of the {wanted} different questions wanted: ask for fewer")
    return list(found.values())


def _glyph_by_shape(script: Script, random: Random, split: str) -> Question:
    scene, place = random.choice(_once(script, lambda scene: scene.figure)), random.choice(PLACE_NAMES)
    slots = {"colour": scene.colour, "shape": scene.shape, "place": place}
    return _glyph_question(script, random, split, "glyph_by_shape", scene, slots)


def _glyph_by_background(script: Script, random: Random, split: str) -> Question:
    scene = random.choice(_once(script, lambda scene: (scene.background, scene.shape)))
    slots = {"background": scene.background, "shape": scene.shape, "place": random.choice(PLACE_NAMES)}
    return _glyph_question(script, random, split, "glyph_by_background", scene, slots)


def _glyph_question(
    script: Script, random: Random, split: str, kind: str, scene: Scene, slots: dict[str, str]
) -> Question:
    options = [scene.glyph_at(place) for place in places_beside(slots["place"])]
    answer = scene.glyph_at(slots["place"])
    return _question(random, split, Intent(kind, slots), options, answer, (script.frames_of(scene),))


def _place_of_glyph(script: Script, random: Random, split: str) -> Question:
    scene, place = random.choice(_once(script, lambda scene: scene.figure)), random.choice(PLACE_NAMES)
    intent = Intent("place_of_glyph", {"colour": scene.colour, "shape": scene.shape, "glyph": scene.glyph_at(place)})
    return _question(random, split, intent, list(places_beside(place)), place, (script.frames_of(scene),))


def _count_cue(script: Script, random: Random, split: str) -> Question:
    shown = Counter(scene.figure for scene in script.scenes)
    times = random.choice(sorted(set(shown.values())))
    colour, shape = random.choice(sorted(figure for figure, number in shown.items() if number == times))
    others = random.sample([number for number in range(1, MOST_REPEATS + 1) if number != times], 3)
    intent = Intent("count_cue", {"colour": colour, "shape": shape})
    return _question(random, split, intent, [str(number) for number in [times, *others]], str(times), _whole(script))


def _never_shown(script: Script, random: Random, split: str) -> Question:
    shown = sorted({scene.figure for scene in script.scenes})
    absent = sorted(set(product(COLOURS, SHAPES)) - set(shown))
    answer = name_of(random.choice(absent))
    options = [answer, *map(name_of, random.sample(shown, 3))]
    return _question(random, split, Intent("never_shown", {}), options, answer, _whole(script))


def _top_background(script: Script, random: Random, split: str) -> Question:
    (top, _), (second, _) = Counter(scene.background for scene in script.scenes).most_common(2)
    others = random.sample([name for name in BACKGROUNDS if name not in (top, second)], 2)
    return _question(random, split, Intent("top_background", {}), [top, second, *others], top, _whole(script))


def _question(
    random: Random, split: str, intent: Intent, options: list[str], answer: str, evidence: tuple[Span, ...]
) -> Question:
    text = say(random.choice(KINDS[intent.kind].for_split(split)), intent.slots)
    return Question(intent, text, tuple(random.sample(options, len(options))), answer, evidence)


def _once(script: Script, cue: Callable[[Scene], object]) -> list[Scene]:
    """The scenes whose cue no other scene of the video has."""
    shown = Counter(cue(scene) for scene in script.scenes)
    return [scene for scene in script.scenes if shown[cue(scene)] == 1]


def _whole(script: Script) -> tuple[Span, ...]:
    return ((0, script.total),)


Maker = Callable[[Script, Random, str], Question]
MAKERS: Final[dict[str, Maker]] = {
    "glyph_by_shape": _glyph_by_shape,
    "glyph_by_background": _glyph_by_background,
    "place_of_glyph": _place_of_glyph,
    "count_cue": _count_cue,
    "never_shown": _never_shown,
    "top_background": _top_background,
}
