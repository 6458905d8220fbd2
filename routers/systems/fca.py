"""Frame compression adjustment around any system that can spend another number of tokens on every frame (VidCom2's own claim)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

import numpy as np
from torch import Tensor

from videorouter.routers.systems.base import CompressedVideo
from videorouter.routers.systems.frame_retention import fitting_counts
from videorouter.routers.systems.query import Query
from videorouter.routers.systems.token_similarity import token_similarity
from videorouter.shards.policy import Policy


@dataclass(frozen=True)
class Adjustable:
    """What a system leaves to the adjustment: the tokens of `frames` (in temporal order), together at most `budget`.

    `settled` are tokens by frame that stay as they are; `policy` and `relevance` `[T]` where a router decided.
    """

    frames: Sequence[int]
    budget: int
    settled: Mapping[int, int] = field(default_factory=dict)
    policy: Policy | None = None
    relevance: Tensor | None = None


@runtime_checkable
class FrameReducer(Protocol):
    """A system that reduces each frame by itself, to as many tokens as it is told."""

    @property
    def name(self) -> str: ...

    def adjustable(self, video_tokens: Tensor, query: Query, budget: int) -> Adjustable:
        """Which frames of `[T, M, D]` share how many tokens. Raises `ValueError` for unworkable budgets."""
        ...

    def fed(self, per_frame: int) -> np.ndarray:
        """int64 `[M + 1]`: the tokens fed of a frame that may keep k of its M; never more than k, `fed[1]` = 1, monotone."""
        ...

    def reduce(self, video_tokens: Tensor, query: Query, counts: Mapping[int, int]) -> CompressedVideo:
        """The frames that `counts` names, each at most so many tokens; the others are dropped."""
        ...


@dataclass(frozen=True)
class FrameCompressionAdjustment:
    """Gives unusual frames more of the tokens that `inner` would spread evenly: `r_t` of VidCom2, at the largest R that fits.

    Uniqueness is against the whole video, its softmax over the frames that share the budget (ours; they are all frames unless
    a router settled some). Tokens are scored on their first `width` channels (all where None).
    `fill` spends what no retention spends exactly (ours).
    """

    inner: FrameReducer
    width: int | None = None
    fill: bool = False
    budgeted: bool = True
    reference: bool = False

    @property
    def name(self) -> str:
        return f"fca+{self.inner.name}"

    def compress(self, video_tokens: Tensor, query: Query, budget: int) -> CompressedVideo:
        share = self.inner.adjustable(video_tokens, query, budget)
        counts = dict(share.settled)
        if share.frames:
            per_frame = video_tokens.shape[1]
            similarity = token_similarity(video_tokens[..., : self.width]).to_video[list(share.frames)]
            fitting = fitting_counts(similarity, per_frame, share.budget, self.inner.fed(per_frame), self.fill)
            counts |= dict(zip(share.frames, fitting.tolist(), strict=True))
        kept = self.inner.reduce(video_tokens, query, counts)
        return replace(kept, policy=share.policy, relevance=share.relevance)
