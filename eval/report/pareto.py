"""Which points no other one beats."""

from collections.abc import Sequence


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Positions of the (cost, accuracy) points that no other is better than in one and at least as good as in the other, by
    cost. Equal points stand on it together."""
    front: list[int] = []
    best, at = float("-inf"), float("-inf")
    for position in sorted(range(len(points)), key=lambda p: (points[p][0], -points[p][1], p)):
        cost, accuracy = points[position]
        if accuracy > best or (accuracy == best and cost == at):
            front.append(position)
            best, at = accuracy, cost
    return front
