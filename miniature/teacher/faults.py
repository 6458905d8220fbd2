"""A teacher's failures, on purpose and repeatable: broken requests for builders to survive, wrong captions for filters to catch."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeVar, get_args

from videorouter.miniature.teacher.perception import Perceived
from videorouter.miniature.world.frame import COLOURS, PLACE_NAMES

ContentFault = Literal["malformed", "truncated", "wrong_schema"]
TransientFault = Literal["rate_limit", "server_error", "hang"]
Kind = TypeVar("Kind", bound=str)
Misreading = Literal["wrong_glyphs", "unsteady_glyphs", "wrong_colour", "missed"]
MISREADINGS: Final[tuple[Misreading, ...]] = get_args(Misreading)


@dataclass
class Faults:
    """Shares (0-1) of requests that fail, each way.

    Content faults depend on (seed, request body): the same request gets the same broken reply. Transient ones depend on
    (seed, body, attempt): repeating the request helps.
    """

    seed: int = 0
    malformed: float = 0.0
    truncated: float = 0.0
    wrong_schema: float = 0.0
    rate_limit: float = 0.0
    server_error: float = 0.0
    hang: float = 0.0
    attempts: Counter[bytes] = field(default_factory=Counter)

    @property
    def active(self) -> bool:
        """Whether anything ever fails; hashing every body costs time."""
        return any((self.malformed, self.truncated, self.wrong_schema, self.rate_limit, self.server_error, self.hang))

    def content(self, body: bytes) -> ContentFault | None:
        """How the content of this request's reply is broken, if it is."""
        if not self.active:
            return None
        shares: dict[ContentFault, float] = {
            "malformed": self.malformed, "truncated": self.truncated, "wrong_schema": self.wrong_schema,
        }  # fmt: skip
        return _pick(shares, self._chance(body, b"content"))

    def transient(self, body: bytes) -> TransientFault | None:
        """How this attempt fails, if it does; counts the attempt."""
        if not self.active:
            return None
        digest = hashlib.sha256(body).digest()
        self.attempts[digest] += 1
        shares: dict[TransientFault, float] = {
            "rate_limit": self.rate_limit, "server_error": self.server_error, "hang": self.hang,
        }  # fmt: skip
        return _pick(shares, self._chance(body, str(self.attempts[digest]).encode()))

    def _chance(self, body: bytes, salt: bytes) -> float:
        """A number in [0, 1) that is a pure function of the seed, the body and the salt."""
        return _share(b"%d|%s|" % (self.seed, salt) + body)


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
        return _share(f"{self.seed}|{what}".encode())


def _pick(shares: dict[Kind, float], chance: float) -> Kind | None:
    for kind, share in shares.items():
        if chance < share:
            return kind
        chance -= share
    return None


def _share(data: bytes) -> float:
    """A number in [0, 1) that is a pure function of `data`."""
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "big") / 2**64


def _one_place_further(seen: Perceived) -> Perceived:
    glyphs = [seen.glyphs[place] for place in PLACE_NAMES]
    return replace(seen, glyphs=dict(zip(PLACE_NAMES, [glyphs[-1], *glyphs[:-1]], strict=True)))
