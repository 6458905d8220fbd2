"""What the `robust` base is trained on: frames pooled, tokens and frames dropped, at random and independent of what is asked.

Relevance is never consulted: no base may learn that a sharp frame is the evidence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Final

import torch
from torch import Tensor

from videorouter.miniature.world.frame import GRID
from videorouter.routers.routing.pooling import pool_frames

SCALES: Final = (1, 2, 4, 8)
_LAYOUTS: Final = ("whole", "whole", "alike", "full and coarse", "full and coarse", "two scales", "any scale")
_MOST_SPOTLIT: Final = 0.4


@dataclass(frozen=True)
class FedFrame:
    """A frame that is fed: its index in the video, the embeddings of its tokens `[m, D]`, the cells each covers `[m, 16]`."""

    frame: int
    embeddings: Tensor
    covers: Tensor

    @property
    def tokens(self) -> int:
        return len(self.embeddings)


def whole(video_tokens: Tensor) -> list[FedFrame]:
    """Every frame in full: `[T, M, D]`."""
    return [FedFrame(frame, tokens, _covers(1)) for frame, tokens in enumerate(video_tokens)]


def compressed(
    random: Random, video_tokens: Tensor, scene_of: Sequence[int] = (), spotlit: float = 0.0
) -> list[FedFrame]:
    """`[T, M, D]` tokens as one of the compressed layouts there are, drawn without regard to what is asked.

    A share `spotlit` of the videos show some scenes in full and the rest coarsely; `scene_of` says which scene each frame is of.
    Two in seven of the others stay whole; or their frames share one scale, mix the full one with a coarse one, mix any two, or
    mix all; a fifth also lose frames, a fifth tokens.
    """
    frames = len(video_tokens)
    layout = "spotlit" if random.random() < spotlit else random.choice(_LAYOUTS)
    if layout == "spotlit":
        coarse, share = random.choice((4, 8, 8)), random.uniform(0.02, _MOST_SPOTLIT)
        lit = {scene for scene in sorted(set(scene_of)) if random.random() < share}
        scales = [1 if scene in lit else coarse for scene in scene_of]
    elif layout == "whole":
        scales = [1] * frames
    elif layout == "alike":
        scales = [random.choice(SCALES[1:])] * frames
    elif layout in ("full and coarse", "two scales"):
        sharp, coarse = sorted(random.sample(SCALES, 2)) if layout == "two scales" else (1, random.choice((4, 8)))
        share = random.random() ** 2
        scales = [sharp if random.random() < share else coarse for _ in range(frames)]
    else:
        scales = [random.choice(SCALES) for _ in range(frames)]
    kept = list(range(frames))
    cut = layout not in ("whole", "spotlit")
    if cut and random.random() < 0.2:
        kept = sorted(random.sample(kept, random.randint(frames // 4, frames)))
    drop = random.uniform(0, 0.5) if cut and random.random() < 0.2 else 0.0
    fed = []
    for frame in kept:
        tokens = pool_frames(video_tokens[frame : frame + 1], scales[frame], GRID)[0]
        left = torch.rand(len(tokens)) >= drop
        left[random.randrange(len(tokens))] = True
        fed.append(FedFrame(frame, tokens[left], _covers(scales[frame])[left]))
    return fed


@cache
def _covers(scale: int) -> Tensor:
    """Which cells of the grid each token covers at a scale: bool `[16 / scale, 16]`."""
    cells = GRID[0] * GRID[1]
    return pool_frames(torch.eye(cells)[None], scale, GRID)[0] > 0
