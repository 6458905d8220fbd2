"""A system that sharpens the wrong frames: if its answers beat guessing, something but the evidence gives them away."""

from dataclasses import dataclass
from random import Random

from torch import Tensor

from videorouter.routers.allocation import Scales
from videorouter.routers.systems.base import CompressedVideo
from videorouter.routers.systems.query import Query
from videorouter.routers.systems.videorouter import routed


@dataclass(frozen=True)
class Misled:
    """As `oracle`, but as many frames as are relevant are sharpened elsewhere, drawn by the question's text.

    Raises `ValueError` for a question without truth.
    """

    grid: tuple[int, int]
    scales: Scales
    name: str = "wrong_frames_sharp"
    budgeted: bool = True
    reference: bool = True

    def compress(self, video_tokens: Tensor, query: Query, budget: int) -> CompressedVideo:
        if query.truth is None:
            raise ValueError(f"{self.name} needs the truth about {query.question!r}")
        relevant = query.truth.relevant
        others = [frame for frame, wanted in enumerate(relevant) if not wanted]
        wrong = set(Random(query.question).sample(others, min(sum(relevant), len(others))))
        sharpened = [frame in wrong for frame in range(len(relevant))]
        return routed(video_tokens, "fragment", sharpened, budget, self.grid, self.scales)
