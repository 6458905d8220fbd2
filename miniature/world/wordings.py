"""The language of the world: one table that both renders questions and parses them back.

Training and validation videos use the `seen` wordings of a kind, test videos the `held_out` ones; none is shared.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Final

from videorouter.miniature.world.frame import BACKGROUNDS, COLOURS, GLYPHS, PLACE_NAMES, SHAPES
from videorouter.miniature.world.scenes import MOST_REPEATS, Figure
from videorouter.shards.policy import Policy

SLOTS: Final[dict[str, tuple[str, ...]]] = {
    "place": PLACE_NAMES,
    "colour": tuple(COLOURS),
    "shape": SHAPES,
    "background": tuple(BACKGROUNDS),
    "glyph": GLYPHS,
}


@dataclass(frozen=True)
class Wordings:
    """How one kind of question is said, and the allocation policy it needs."""

    policy: Policy
    seen: tuple[str, ...]
    held_out: tuple[str, ...]

    def for_split(self, split: str) -> tuple[str, ...]:
        """The templates a split may use: `test` has its own."""
        return self.held_out if split == "test" else self.seen


KINDS: Final[dict[str, Wordings]] = {
    "glyph_by_shape": Wordings(
        "fragment",
        seen=(
            "Which symbol is at the {place} when the {colour} {shape} is shown?",
            "When the {colour} {shape} appears, which symbol is at the {place}?",
            "What symbol can be seen at the {place} while the {colour} {shape} is on screen?",
            "At the moment of the {colour} {shape}, what symbol is written at the {place}?",
            "Look at the scene with the {colour} {shape}: which symbol stands at the {place}?",
            "Name the symbol at the {place} of the scene that shows the {colour} {shape}.",
        ),
        held_out=(
            "In the scene with the {colour} {shape}, which symbol do you find at the {place}?",
            "While the {colour} {shape} is shown, what symbol is at the {place}?",
            "Read the symbol at the {place} when the {colour} {shape} appears.",
        ),
    ),
    "glyph_by_background": Wordings(
        "fragment",
        seen=(
            "Which symbol is at the {place} when a {shape} is shown on a {background} background?",
            "When a {shape} appears on a {background} background, which symbol is at the {place}?",
            "What symbol can be seen at the {place} while a {shape} is on a {background} background?",
            "Look at the scene with a {shape} and a {background} background: which symbol stands at the {place}?",
            "Name the symbol at the {place} of the scene that shows a {shape} on a {background} background.",
        ),
        held_out=(
            "In the scene with a {background} background and a {shape}, which symbol do you find at the {place}?",
            "While a {shape} is shown on a {background} background, what symbol is at the {place}?",
            "Read the symbol at the {place} when a {shape} on a {background} background appears.",
        ),
    ),
    "place_of_glyph": Wordings(
        "fragment",
        seen=(
            "Where is the symbol {glyph} when the {colour} {shape} is shown?",
            "When the {colour} {shape} appears, where is the symbol {glyph}?",
            "At which place can the symbol {glyph} be seen while the {colour} {shape} is on screen?",
            "Look at the scene with the {colour} {shape}: where does the symbol {glyph} stand?",
            "Name the place of the symbol {glyph} in the scene that shows the {colour} {shape}.",
        ),
        held_out=(
            "In the scene with the {colour} {shape}, where do you find the symbol {glyph}?",
            "While the {colour} {shape} is shown, at which place is the symbol {glyph}?",
            "Find the place of the symbol {glyph} when the {colour} {shape} appears.",
        ),
    ),
    "count_cue": Wordings(
        "global",
        seen=(
            "How many scenes show the {colour} {shape}?",
            "In how many scenes does the {colour} {shape} appear?",
            "How many times is the {colour} {shape} shown in the whole video?",
            "Count the scenes of the video that show the {colour} {shape}.",
            "How often can the {colour} {shape} be seen in the video?",
        ),
        held_out=(
            "How many scenes of the whole video show the {colour} {shape}?",
            "Count how often the {colour} {shape} appears in the video.",
            "In the whole video, how many times does the {colour} {shape} appear?",
        ),
    ),
    "never_shown": Wordings(
        "global",
        seen=(
            "Which of these shapes is never shown in the video?",
            "Which of these shapes does not appear in any scene?",
            "One of these shapes never appears in the whole video. Which one?",
            "Name the shape that can not be seen in any scene of the video.",
        ),
        held_out=(
            "Which of these shapes never appears in the video?",
            "Name the one of these shapes that is not shown in any scene.",
        ),
    ),
    "top_background": Wordings(
        "global",
        seen=(
            "Which background is shown in the most scenes?",
            "In the whole video, which background appears most often?",
            "What is the most common background of the video?",
            "Name the background that can be seen in more scenes than any other.",
        ),
        held_out=(
            "Which background appears in the most scenes of the video?",
            "Name the background shown most often in the whole video.",
        ),
    ),
}


@dataclass(frozen=True)
class Intent:
    """What a question asks: its kind and the values of its slots (`place`, `colour`, `shape`, ...)."""

    kind: str
    slots: Mapping[str, str]

    @property
    def policy(self) -> Policy:
        """The allocation policy this kind of question needs."""
        return KINDS[self.kind].policy

    @property
    def figure(self) -> Figure:
        """The coloured shape asked about; only where the kind has one."""
        return self.slots["colour"], self.slots["shape"]


def say(template: str, slots: Mapping[str, str]) -> str:
    """The text of a question."""
    return template.format_map(slots)


def parse(text: str) -> Intent | None:
    """What a text asks, or None where no wording of the world says it so. Case and spacing do not matter."""
    words = " ".join(text.split())
    for kind, pattern in _patterns():
        if found := pattern.fullmatch(words):
            return Intent(kind, {slot: _canonical(slot)[value.lower()] for slot, value in found.groupdict().items()})
    return None


def name_of(figure: Figure) -> str:
    """A coloured shape in words, as options write it."""
    return " ".join(figure)


def parse_figure(text: str) -> Figure | None:
    """The coloured shape a text names, or None."""
    colour, _, shape = " ".join(text.split()).lower().partition(" ")
    return (colour, shape) if colour in COLOURS and shape in SHAPES else None


def vocabulary() -> list[str]:
    """Every text of the world, for training a tokenizer: each wording with each value of its slots, and all options."""
    templates = chain.from_iterable(wordings.seen + wordings.held_out for wordings in KINDS.values())
    turns = range(max(map(len, SLOTS.values())))
    questions = [
        say(template, {slot: values[turn % len(values)] for slot, values in SLOTS.items()})
        for template in templates
        for turn in turns
    ]
    figures = [name_of((colour, shape)) for colour in COLOURS for shape in SHAPES]
    counts = [str(number) for number in range(MOST_REPEATS + 1)]
    return list(dict.fromkeys([*questions, *chain.from_iterable(SLOTS.values()), *figures, *counts]))


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    return [
        (kind, re.compile(_pattern(template), re.IGNORECASE))
        for kind, wordings in KINDS.items()
        for template in wordings.seen + wordings.held_out
    ]


def _pattern(template: str) -> str:
    """A template as a regular expression with one named group a slot."""
    parts = re.split(r"\{(\w+)\}", template)
    return "".join(
        f"(?P<{part}>{'|'.join(map(re.escape, SLOTS[part]))})" if position % 2 else re.escape(part)
        for position, part in enumerate(parts)
    )


@cache
def _canonical(slot: str) -> dict[str, str]:
    return {value.lower(): value for value in SLOTS[slot]}
