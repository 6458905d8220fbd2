"""Accuracy against a cost as inline SVG: intervals, the Pareto front dashed and ringed, points at one cost side by side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10
from typing import Final, NamedTuple

WIDTH, HEIGHT = 420, 300
LEFT, RIGHT, TOP, BOTTOM = 42, 12, 10, 42
APART: Final = 9  # units of the drawing between points that would cover each other
FAR: Final = 4  # the ratio of costs from which the axis is logarithmic

Place = Callable[[float], float]
"""From a figure to a coordinate of the drawing."""


class Mark(NamedTuple):
    """How a contender looks in every plot: a colour, and a form that distinguishes it without the colour.

    `colour` counts the classes `c0`, `c1`, ... of the page; `path` is drawn around the origin; `dash` is that of its lines.
    """

    colour: int
    path: str
    dash: str
    hollow: bool

    @property
    def css(self) -> str:
        """The classes of its element."""
        return f"mark c{self.colour}{' hollow' if self.hollow else ''}"


def mark(place: int, hollow: bool) -> Mark:
    """The mark of contender number `place`; hollow for one printed apart. 56 differ before the first is used again."""
    shapes = list(_SHAPES.values())
    return Mark(place % COLOURS, shapes[place % len(shapes)], _DASHES[place // COLOURS % len(_DASHES)], hollow)


@dataclass(frozen=True)
class Point:
    """Accuracies in 0..1. Points of one `line` are joined; only `real` points may be on the front, bounds and controls may not.

    `level` is the cost that the point is compared at, where it differs from `cost` by less than counts.
    """

    label: str
    line: str
    mark: Mark
    cost: float
    level: float
    accuracy: float
    low: float
    high: float
    real: bool


def scatter(points: Sequence[Point], axis: str, said: str, guessing: float, *, digits: int) -> str:
    """SVG of points; `axis` names the cost, `said` describes the picture in words; the level of guessing is dotted."""
    real = [number for number, point in enumerate(points) if point.real]
    front = [real[place] for place in pareto_front([(points[n].level, points[n].accuracy) for n in real])]
    across, ticks, logarithmic = _cost_axis([point.cost for point in points])
    bottom = max(0, floor(10 * min(guessing, *(point.low for point in points))) / 10)
    top = min(1, max(bottom + 0.1, ceil(10 * max(point.high for point in points)) / 10))  # all answers may be wrong

    def up(accuracy: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - (accuracy - bottom) / (top - bottom))

    places = _side_by_side([across(point.cost) for point in points])
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(said)}">']
    for step in range(round(10 * bottom), round(10 * top) + 1, 1 if top - bottom < 0.65 else 2):
        parts.append(f'<path class="grid" d="M{LEFT},{up(step / 10):.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{up(step / 10) + 4:.1f}" text-anchor="end">{10 * step}</text>')
    for tick in ticks:
        parts.append(f'<path class="grid" d="M{across(tick):.1f},{TOP}V{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text x="{across(tick):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{tick:,g}</text>')
    parts.append(f'<path class="guessing" d="M{LEFT},{up(guessing):.1f}H{WIDTH - RIGHT}"/>')
    name = axis + (", logarithmic" if logarithmic else "")
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{escape(name)}</text>')
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        f'<text x="11" y="{middle}" text-anchor="middle" transform="rotate(-90 11 {middle})">accuracy, %</text>'
    )
    parts += _brackets([across(point.cost) for point in points], places)
    if len(front) > 1:
        steps = "".join(f"H{places[n]:.1f}V{up(points[n].accuracy):.1f}" for n in front[1:])
        parts.append(f'<path class="front" d="M{places[front[0]]:.1f},{up(points[front[0]].accuracy):.1f}{steps}"/>')
    for line in dict.fromkeys(point.line for point in points):
        own = sorted((n for n, point in enumerate(points) if point.line == line), key=lambda n: points[n].cost)
        if len(own) > 1:
            route = "L".join(f"{places[n]:.1f},{up(points[n].accuracy):.1f}" for n in own)
            look = points[own[0]].mark
            parts.append(f'<path class="line c{look.colour}" stroke-dasharray="{look.dash}" d="M{route}"/>')
    for number, point in enumerate(points):
        parts.append(_drawn(point, places[number], up, ringed=number in front, digits=digits, axis=axis))
    return "".join([*parts, "</svg>"])


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Positions of the (cost, accuracy) points that no other dominates, by cost; equal points are both on the front."""
    front: list[int] = []
    best, at = float("-inf"), float("-inf")
    for position in sorted(range(len(points)), key=lambda p: (points[p][0], -points[p][1], p)):
        cost, accuracy = points[position]
        if accuracy > best or (accuracy == best and cost == at):
            front.append(position)
            best, at = accuracy, cost
    return front


# Okabe and Ito's palette as classes of page.css: black is ink there, so that it shows on dark pages, too.
COLOURS: Final = 8
_SHAPES: Final = {
    "circle": "M0,-5A5,5 0 1,1 0,5A5,5 0 1,1 0,-5Z",
    "square": "M-4.5,-4.5H4.5V4.5H-4.5Z",
    "diamond": "M0,-6.2L6.2,0L0,6.2L-6.2,0Z",
    "triangle": "M0,-6L5.6,4.4H-5.6Z",
    "down": "M0,6L5.6,-4.4H-5.6Z",
    "plus": "M-1.9,-5.8H1.9V-1.9H5.8V1.9H1.9V5.8H-1.9V1.9H-5.8V-1.9H-1.9Z",
    "star": "M0,-6.6L1.6,-2.1L6.3,-2L2.6,0.8L3.9,5.4L0,2.7L-3.9,5.4L-2.6,0.8L-6.3,-2L-1.6,-2.1Z",
}
_DASHES: Final = ("none", "6 3", "2 3")


def _drawn(point: Point, x: float, up: Place, *, ringed: bool, digits: int, axis: str) -> str:
    y = up(point.accuracy)
    ring = f'<circle class="ring" cx="{x:.1f}" cy="{y:.1f}" r="7.5"/>' if ringed else ""
    words = (
        f"{point.label}: {100 * point.accuracy:.1f} % ({100 * point.low:.1f} to {100 * point.high:.1f}) at "
        f"{point.cost:,.{digits}f} {axis.split(',')[0]}" + (", on the Pareto front" if ringed else "")
    )
    return (
        f'<g><title>{escape(words)}</title><path class="whisker c{point.mark.colour}" '
        f'd="M{x:.1f},{up(point.low):.1f}V{up(point.high):.1f}'
        f'M{x - 3:.1f},{up(point.low):.1f}h6M{x - 3:.1f},{up(point.high):.1f}h6"/>{ring}'
        f'<path class="{point.mark.css}" transform="translate({x:.1f} {y:.1f}) scale(.8)" d="{point.mark.path}"/></g>'
    )


def _cost_axis(costs: Sequence[float]) -> tuple[Place, list[float], bool]:
    """Where a cost lies, the round costs that are written, and whether the axis is logarithmic."""
    least, most = min(costs), max(costs)
    width = WIDTH - LEFT - RIGHT
    if least > 0 and most / least > FAR:
        low, high = log10(least) - 0.15, log10(most) + 0.15
        decades = range(floor(low), ceil(high) + 1)
        ticks = [m * 10.0**d for d in decades for m in (1, 2, 5) if low <= log10(m * 10.0**d) <= high]
        return (lambda cost: LEFT + width * (log10(cost) - low) / (high - low)), ticks[:: 1 + len(ticks) // 7], True
    end = 1.12 * most or 1.0
    return (lambda cost: LEFT + width * cost / end), _round_steps(end), False


def _round_steps(end: float) -> list[float]:
    magnitude = 10.0 ** floor(log10(end))
    step = next(m * magnitude / 10 for m in (1, 2, 5, 10, 20, 50) if end / (m * magnitude / 10) <= 5)
    return [round(step * count, 10) for count in range(floor(end / step) + 1)]


def _clusters(positions: Sequence[float]) -> list[list[int]]:
    """Groups of points that would cover each other."""
    clusters: list[list[int]] = []
    for number in sorted(range(len(positions)), key=lambda n: (positions[n], n)):
        if clusters and positions[number] - positions[clusters[-1][0]] < APART / 2:
            clusters[-1].append(number)
        else:
            clusters.append([number])
    return clusters


def _brackets(positions: Sequence[float], places: Sequence[float]) -> list[str]:
    """Brackets above the axis, from points that were moved apart to the cost that they share."""
    base = HEIGHT - BOTTOM
    return [
        f'<path class="bracket" d="M{min(places[n] for n in own):.1f},{base - 9}v4H{max(places[n] for n in own):.1f}v-4'
        f'M{sum(positions[n] for n in own) / len(own):.1f},{base - 5}v5"/>'
        for own in _clusters(positions)
        if len(own) > 1
    ]


def _side_by_side(positions: Sequence[float]) -> list[float]:
    """Positions, moved apart around their middle where points would cover each other, and kept inside the drawing."""
    moved = list(positions)
    for cluster in _clusters(positions):
        middle = sum(positions[n] for n in cluster) / len(cluster)
        half = APART * (len(cluster) - 1) / 2
        middle = min(max(middle, LEFT + 6 + half), WIDTH - RIGHT - 6 - half)
        for place, number in enumerate(cluster):
            moved[number] = middle + APART * place - half
    return moved
