"""What happens in one video: its scenes, their cues, and how long each lasts.

Time is divided into 64 equal units and a scene lasts whole units, so that 64 segment midpoints see every scene.
Some coloured shapes appear in exactly one scene (cues of fragment questions), some in several (counting), some never.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from random import Random
from typing import Final, TypeVar

from videorouter.miniature.world.frame import BACKGROUNDS, COLOURS, GLYPHS, PLACE_NAMES, SHAPES, may_meet

UNITS: Final = 64
FEWEST_SCENES: Final = 24
MOST_REPEATS: Final = 5
"""A coloured shape is shown in at most this many scenes."""

Figure = tuple[str, str]
"""A coloured shape: (colour, shape)."""
_Item = TypeVar("_Item", bound=Hashable)


@dataclass(frozen=True)
class Scene:
    """One scene: `glyphs` stand in the order of `PLACE_NAMES`, all different; it lasts units `[first, end)`."""

    background: str
    colour: str
    shape: str
    glyphs: tuple[str, ...]
    first: int
    end: int

    @property
    def figure(self) -> Figure:
        """The coloured shape."""
        return self.colour, self.shape

    def glyph_at(self, place: str) -> str:
        """The glyph at a named place."""
        return self.glyphs[PLACE_NAMES.index(place)]


@dataclass(frozen=True)
class Script:
    """The scenes of one video in order, and its length: `total` frames at `fps`."""

    scenes: tuple[Scene, ...]
    total: int
    fps: int

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.total / self.fps

    def frames_of(self, scene: Scene) -> tuple[int, int]:
        """The frames `[first, end)` of the file that show this scene."""
        return -(-scene.first * self.total // UNITS), -(-scene.end * self.total // UNITS)


def write_script(random: Random, total: int, fps: int, scenes: tuple[int, int] = (32, 64)) -> Script:
    """A script with a number of scenes drawn from the closed range `scenes`.

    Raises:
        ValueError: where the range leaves 24..64 or the video is too short to show every unit.
    """
    fewest, most = scenes
    if not FEWEST_SCENES <= fewest <= most <= UNITS:
        raise ValueError(f"scenes must be a range within {FEWEST_SCENES}..{UNITS}, not {fewest}..{most}")
    if total < 2 * UNITS:
        raise ValueError(f"a video needs at least {2 * UNITS} frames ({2 * UNITS / fps:g} seconds at {fps} fps)")
    count = random.randint(fewest, most)
    while True:
        figures = arrange(random, _figures(random, count), lambda figure, position: True)
        colours = [colour for colour, _ in figures]
        backgrounds = arrange(random, _backgrounds(random, count), partial(stands_out, colours))
        lengths = _lengths(random, count)
        if _same_winner(backgrounds, lengths):
            break
    starts = [sum(lengths[:position]) for position in range(count)]
    return Script(
        scenes=tuple(
            Scene(background, colour, shape, tuple(random.sample(GLYPHS, len(PLACE_NAMES))), start, start + length)
            for background, (colour, shape), start, length in zip(backgrounds, figures, starts, lengths, strict=True)
        ),
        total=total,
        fps=fps,
    )


def stands_out(colours: Sequence[str], background: str, position: int) -> bool:
    """Whether the background may stand behind the colour at that position."""
    return may_meet(colours[position], background)


def _figures(random: Random, count: int) -> list[Figure]:
    """Coloured shapes with repetition: about four scenes in ten show one that is shown again."""
    repeats = [5, 4, 3, 2]
    while sum(repeats) < 0.4 * count:
        repeats.append(random.randint(2, 4))
    repeats += [1] * (count - sum(repeats))
    chosen = random.sample(list(product(COLOURS, SHAPES)), len(repeats))
    return [figure for figure, times in zip(chosen, repeats, strict=True) for _ in range(times)]


def _backgrounds(random: Random, count: int) -> list[str]:
    """Backgrounds with repetition: one leads the others clearly, but not hugely."""
    names = random.sample(list(BACKGROUNDS), len(BACKGROUNDS))
    lead = max(2, count // 16)
    top = round(count * 0.22)
    counts = Counter({names[0]: top})
    while counts.total() < count:
        name = random.choice(names[1:])
        if counts[name] < top - lead:
            counts[name] += 1
    return list(counts.elements())


def arrange(
    random: Random, items: Sequence[_Item], allowed: Callable[[_Item, int], bool], tries: int = 10_000
) -> list[_Item]:
    """A random order in which no neighbours are equal and every item is allowed at its position.

    Raises `ValueError` where none was found in `tries`.
    """
    for _ in range(tries):
        left = list(items)
        order: list[_Item] = []
        random.shuffle(left)
        while left:
            fitting = [item for item in left if allowed(item, len(order)) and (not order or item != order[-1])]
            if not fitting:
                break
            order.append(random.choice(fitting))
            left.remove(order[-1])
        if not left:
            return order
    raise ValueError(f"no order of {len(items)} items was found in {tries} tries")


def _lengths(random: Random, count: int) -> list[int]:
    """How many units each scene lasts; every scene at least one."""
    cuts = sorted(random.sample(range(1, UNITS), count - 1))
    return [end - start for start, end in zip([0, *cuts], [*cuts, UNITS], strict=True)]


def _same_winner(backgrounds: list[str], lengths: list[int]) -> bool:
    """Whether the background of the most scenes also leads clearly in time, so that "most" has one meaning."""
    time: Counter[str] = Counter()
    for name, length in zip(backgrounds, lengths, strict=True):
        time[name] += length
    (first, longest), (_, second) = time.most_common(2)
    return first == Counter(backgrounds).most_common(1)[0][0] and longest >= second + 2
