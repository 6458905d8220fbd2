"""Which rows stand apart from the compared ones."""

from typing import Final

from videorouter.eval.controls import is_control
from videorouter.routers.systems.spec import ROUTED, parse_spec

REFERENCES: Final = ("dense", "oracle")
"""Systems whose rows say what is at stake: without a budget, or told the truth (`System.reference`)."""


def stands_apart(system: str, named: tuple[str, ...] = ()) -> bool:
    """Whether `system` is a reference or a control, `videorouter` with options of its own, or among those `named` by the user."""
    name = parse_spec(system).name
    return is_control(system) or system in named or name in REFERENCES or (name == ROUTED and system != ROUTED)


def knows_truth(system: str) -> bool:
    """Whether the system is told what no real one knows."""
    return parse_spec(system).name == "oracle"


def could_be_used(system: str) -> bool:
    """Whether one could choose the system for its accuracy and cost: no bound and no control."""
    return not knows_truth(system) and not is_control(system)
