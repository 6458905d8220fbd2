"""A picture of the world in words, and back: what a caption tells is all that a reader of it knows."""

import re
from typing import Final

from videorouter.miniature.geometry import PLACE_NAMES
from videorouter.miniature.glyphs import GLYPHS
from videorouter.miniature.palette import BACKGROUNDS
from videorouter.miniature.perception import Perceived
from videorouter.miniature.wordings import parse_figure

NOTHING: Final = "Nothing can be made out."
ILLEGIBLE: Final = "illegible"
_SCENE = re.compile(r"A (?P<figure>\w+ \w+) on a (?P<background>\w+) background\. Symbols: (?P<symbols>.+)\.")
_LINE = re.compile(r"^Frame-(\d+): (.+)$", re.MULTILINE)


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
