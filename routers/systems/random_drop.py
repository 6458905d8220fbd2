"""Tokens kept at random, equally many of every frame: the row that says what any clever choice adds (baseline)."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from videorouter.routers.routing.allocation import uniform_subset
from videorouter.routers.systems.base import CompressedVideo, kept_tokens
from videorouter.routers.systems.frame_retention import frames_within
from videorouter.routers.systems.query import Query
from videorouter.routers.systems.spec import Kind
from videorouter.routers.systems.vidcom2 import Adjustable, lowest


@dataclass(frozen=True)
class RandomDrop:
    """Keeps the whole budget: `budget // T` tokens a frame, one more in a uniform subset of the frames.

    The order in which tokens are dropped is a function of (seed, question, T, M): a question keeps the same tokens every time, its
    larger budgets keep what smaller ones kept, and chance does not favour the same cells in every question. Under a budget
    of fewer tokens than frames a uniform subset of the frames keeps one token each.
    """

    drops_tokens: ClassVar[bool] = True

    seed: int = 0
    name: str = "random_drop"
    budgeted: bool = True
    kind: Kind = "compared"
    reads_question: ClassVar[bool] = False
    spends_cap: bool = False

    def compress(self, video_tokens: Tensor, query: Query, budget: int) -> CompressedVideo:
        count, per_frame = video_tokens.shape[:2]
        frames = frames_within(count, per_frame, budget)
        each, over = divmod(min(budget, len(frames) * per_frame), len(frames))
        larger = set(uniform_subset(frames, over))
        return self.reduce(video_tokens, query, {frame: each + (frame in larger) for frame in frames})

    def adjustable(self, video_tokens: Tensor, query: Query, budget: int) -> Adjustable:
        frames, per_frame = video_tokens.shape[:2]
        return Adjustable(frames_within(frames, per_frame, budget), budget)

    def fed(self, video_tokens: Tensor, query: Query) -> np.ndarray:
        return np.arange(video_tokens.shape[1] + 1)

    def reduce(self, video_tokens: Tensor, query: Query, counts: Mapping[int, int]) -> CompressedVideo:
        frames, per_frame = video_tokens.shape[:2]
        named = f"{self.seed} {frames} {per_frame} {query.question}"
        draw = torch.Generator().manual_seed(zlib.crc32(named.encode()))
        order = torch.rand(frames, per_frame, generator=draw).to(video_tokens.device)
        kept = lowest(order, np.array([counts.get(frame, 0) for frame in range(frames)]))
        return kept_tokens(video_tokens, kept, grid=query.grid)
