"""What the `robust` base is taught to bear: frames pooled, tokens and frames dropped, at random and whatever is asked.

Relevance is never consulted: no base may learn that a sharp frame is the evidence.
"""

from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Final

import torch
from torch import Tensor

from miniature.geometry import GRID
from routers.pooling import pool_frames

SCALES: Final = (1, 2, 4, 8)
_LAYOUTS: Final = ("whole", "whole", "alike", "full and coarse", "full and coarse", "two scales", "any scale")


@dataclass(frozen=True)
class SeenFrame:
    """A frame that is fed: its index in the video, the embeddings of its tokens `[m, D]`, the cells each covers `[m, 16]`."""

    frame: int
    embeddings: Tensor
    covers: Tensor

    @property
    def tokens(self) -> int:
        return len(self.embeddings)


def whole(video_tokens: Tensor) -> list[SeenFrame]:
    """Every frame in full: `[T, M, D]`."""
    return [SeenFrame(frame, tokens, _covers(1)) for frame, tokens in enumerate(video_tokens)]


def thinned(random: Random, video_tokens: Tensor) -> list[SeenFrame]:
    """`[T, M, D]` tokens as one of the compressed layouts there are, drawn without looking at what is asked.

    Two in seven videos stay whole; of the others the frames share one scale, mix the full one with a coarse one, mix any two,
    or mix all; a fifth also lose frames, a fifth tokens.
    """
    frames = len(video_tokens)
    layout = random.choice(_LAYOUTS)
    if layout == "whole":
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
    if layout != "whole" and random.random() < 0.2:
        kept = sorted(random.sample(kept, random.randint(frames // 4, frames)))
    drop = random.uniform(0, 0.5) if layout != "whole" and random.random() < 0.2 else 0.0
    seen = []
    for frame in kept:
        tokens = pool_frames(video_tokens[frame : frame + 1], scales[frame], GRID)[0]
        left = torch.rand(len(tokens)) >= drop
        left[random.randrange(len(tokens))] = True
        seen.append(SeenFrame(frame, tokens[left], _covers(scales[frame])[left]))
    return seen


@cache
def _covers(scale: int) -> Tensor:
    """Which cells of the grid each token covers at a scale: bool `[16 / scale, 16]`."""
    cells = GRID[0] * GRID[1]
    return pool_frames(torch.eye(cells)[None], scale, GRID)[0] > 0
