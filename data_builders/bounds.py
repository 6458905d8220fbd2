"""Bounds of the builders' options: a number that means nothing is refused before anything is built with it."""

import math
from collections.abc import Mapping

ANY = math.inf
"""The upper bound of an option that has none."""


def check_bounds(options: object, bounds: Mapping[str, tuple[float, float]], prefix: str = "") -> None:
    """Raises `ValueError` for a number of `options` that is not finite or outside of its bounds, both included; None is taken.

    `prefix` stands before the option's name in what the user is told.
    """
    for name, (least, most) in bounds.items():
        number = getattr(options, name)
        if number is None or (math.isfinite(number) and least <= number <= most):
            continue
        wanted = f"{least:g} or more" if most == ANY else f"{least:g} to {most:g}"
        raise ValueError(f"{prefix}{name} is {number}: give {wanted}")


def check_above_zero(options: object, *names: str, prefix: str = "") -> None:
    """Raises `ValueError` for a number of `options` that is not finite or not above 0; None is taken."""
    for name in names:
        number = getattr(options, name)
        if number is not None and not (math.isfinite(number) and number > 0):
            raise ValueError(f"{prefix}{name} is {number}: give a number above 0")
