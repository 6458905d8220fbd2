"""The budgets the study compares at: cap in visual tokens of 64 frames with 16 each, and the scales used there."""

from dataclasses import dataclass
from typing import Final

from videorouter.routers.routing.allocation import Scales

SYSTEMS: Final = ("dense", "frame_budget", "uniform_pooling", "videorouter", "oracle")
DENSE_TOKENS: Final = 1024


@dataclass(frozen=True)
class Point:
    """One budget."""

    budget: int
    scales: Scales

    @property
    def share(self) -> float:
        """Of the dense tokens."""
        return self.budget / DENSE_TOKENS


HEADLINE: Final = Point(329, Scales(4, 1, 8))
"""32.1 % of the dense tokens: the published cut of 67.9 %, at the published scales."""
POINTS: Final = (
    Point(128, Scales(8, 1, 16)),
    Point(256, Scales(4, 1, 8)),
    HEADLINE,
    Point(512, Scales(2, 1, 4)),
    Point(768, Scales(2, 1, 4)),
)
