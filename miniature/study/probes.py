"""What must not be known: linear probes of frozen tokens, in full and pooled four-fold, and a system that sharpens wrong frames."""

from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from videorouter.miniature.pretraining.vision import degraded, picture_of, random_scene
from videorouter.miniature.world.frame import GLYPHS, GRID, PLACE_NAMES, cell_of, places_beside, quadrant
from videorouter.routers.backbones.protocol import Backbone
from videorouter.routers.routing.allocation import Scales
from videorouter.routers.routing.pooling import pool_frames
from videorouter.routers.systems.base import CompressedVideo
from videorouter.routers.systems.query import Query
from videorouter.routers.systems.spec import Kind
from videorouter.routers.systems.videorouter import routed

POOLED = 4
STEPS = 400


@dataclass(frozen=True)
class ProbeAccuracies:
    """Held-out accuracies: `full` of the 24 glyphs from the place's own token; `pooled` among the three glyphs that share the
    pooled token, `guessing` those."""

    full: float
    pooled: float
    guessing: float


def measure_probes(backbone: Backbone, pictures: int = 3000, seed: int = 0) -> ProbeAccuracies:
    """Fit one linear probe a place on two thirds of fresh pictures, read the others."""
    random = Random(f"probe {seed}")
    scenes = [random_scene(random) for _ in range(pictures)]
    tokens = backbone.encode_frames(np.stack([degraded(picture_of(scene, random), random) for scene in scenes])).float()
    glyphs = torch.tensor([[GLYPHS.index(glyph) for glyph in scene.glyphs] for scene in scenes])
    pooled = pool_frames(tokens, POOLED, GRID)
    full, among = [], []
    for number, place in enumerate(PLACE_NAMES):
        scores, truth = _probe(tokens[:, cell_of(place)], glyphs[:, number])
        full.append((scores.argmax(1) == truth).float())
        row, column = quadrant(place)
        scores, truth = _probe(pooled[:, 2 * row + column], glyphs[:, number])
        beside = glyphs[-len(truth) :, [PLACE_NAMES.index(name) for name in places_beside(place)]]
        among.append((beside.gather(1, scores.gather(1, beside).argmax(1, keepdim=True))[:, 0] == truth).float())
    return ProbeAccuracies(
        torch.cat(full).mean().item(), torch.cat(among).mean().item(), 1 / len(places_beside(PLACE_NAMES[0]))
    )


@dataclass(frozen=True)
class WrongFrames:
    """As `oracle`, but as many frames as are relevant are sharpened elsewhere, drawn by the question's text.

    If its answers beat guessing, something but the evidence gives them away.

    Raises `ValueError` for a question without truth.
    """

    grid: tuple[int, int] | None
    scales: Scales
    name: str = "wrong_frames_sharp"
    budgeted: bool = True
    kind: Kind = "control"
    spends_cap: bool = True

    def compress(self, video_tokens: Tensor, query: Query, budget: int) -> CompressedVideo:
        if query.truth is None:
            raise ValueError(f"{self.name} needs the truth about {query.question!r}")
        relevant = query.truth.relevant
        others = [frame for frame, wanted in enumerate(relevant) if not wanted]
        wrong = set(Random(query.question).sample(others, min(sum(relevant), len(others))))
        sharpened = [frame in wrong for frame in range(len(relevant))]
        grid = query.grid_or(self.grid)
        return routed(video_tokens, "fragment", sharpened, budget, grid, self.scales)


def _probe(tokens: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Scores `[n, 24]` of a linear classifier on the last third, and the labels there."""
    fitted = 2 * len(tokens) // 3
    inputs = (tokens - tokens[:fitted].mean(0)) / tokens[:fitted].std(0).clamp_min(1e-6)
    torch.manual_seed(0)
    probe = nn.Linear(inputs.shape[1], len(GLYPHS))
    optimizer = torch.optim.AdamW(probe.parameters(), lr=0.02, weight_decay=0.01)
    for _ in range(STEPS):
        functional.cross_entropy(probe(inputs[:fitted]), labels[:fitted]).backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        return probe(inputs[fitted:]), labels[fitted:]
