"""Captions that tell something else than the picture shows, on purpose and repeatable, so that filters have work."""

import hashlib
from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

from videorouter.miniature.geometry import PLACE_NAMES
from videorouter.miniature.palette import COLOURS
from videorouter.miniature.perception import Perceived

Misreading = Literal["wrong_glyphs", "unsteady_glyphs", "wrong_colour", "missed"]
MISREADINGS: Final[tuple[Misreading, ...]] = get_args(Misreading)


@dataclass(frozen=True)
class Misreadings:
    """A share (0-1) of the scenes is told wrong, each kind equally often.

    `wrong_glyphs`: every symbol is told one place further; `unsteady_glyphs`: so, but in some frames of the scene only;
    `wrong_colour`: the shape is told in another colour; `missed`: in some frames nothing is made out. Which scenes is a
    function of (seed, what the scene looks like), which frames of them of the picture, too.
    """

    share: float = 0.0
    seed: int = 0

    def of(self, scene: Perceived) -> Misreading | None:
        """How a scene is told wrong, if it is."""
        chance = self._chance(repr((scene.background, scene.figure, sorted(scene.glyphs.items()))))
        if chance >= self.share:
            return None
        return MISREADINGS[int(chance / self.share * len(MISREADINGS))]

    def told(self, seen: Perceived | None, picture: str) -> Perceived | None:
        """What a caption tells of a picture (its data URL) that shows `seen`."""
        if seen is None or not self.share:
            return seen
        in_this_frame = self._chance(picture) < 0.5
        match self.of(seen):
            case "wrong_glyphs":
                return _one_place_further(seen)
            case "unsteady_glyphs" if in_this_frame:
                return _one_place_further(seen)
            case "wrong_colour":
                colours = list(COLOURS)
                other = colours[(colours.index(seen.figure[0]) + 3) % len(colours)]
                return replace(seen, figure=(other, seen.figure[1]))
            case "missed" if in_this_frame:
                return None
        return seen

    def _chance(self, what: str) -> float:
        digest = hashlib.sha256(f"{self.seed}|{what}".encode()).digest()
        return int.from_bytes(digest[:8], "big") / 2**64


def _one_place_further(seen: Perceived) -> Perceived:
    glyphs = [seen.glyphs[place] for place in PLACE_NAMES]
    return replace(seen, glyphs=dict(zip(PLACE_NAMES, [glyphs[-1], *glyphs[:-1]], strict=True)))
