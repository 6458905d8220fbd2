"""VidCom2: tokens unlike their video and their frame are kept, more of them in unusual frames (arXiv 2505.14454, section 3)."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from videorouter.routers.systems.base import CompressedVideo, kept_tokens
from videorouter.routers.systems.frame_retention import (
    as_tensor,
    check_retention,
    fitting_counts,
    frames_within,
    retained,
    retention_factors,
    token_counts,
)
from videorouter.routers.systems.query import Query
from videorouter.routers.systems.token_similarity import token_similarity


def frame_retention(features: Tensor, retention: float) -> Tensor:
    """float32 `[T]`: the share of each frame of `[T, M, C]` that is kept at the mean share `retention`.

    This alone is the frame compression adjustment. Sums to `retention * T` where no frame is kept whole.
    Raises `ValueError` unless 0 < retention <= 1, and for another shape.
    """
    check_retention(retention)
    factors = retention_factors(token_similarity(features).to_video)
    return as_tensor(retained(factors, retention), features).float()


def keep_indices(features: Tensor, retention: float) -> Tensor:
    """int64 `[N]`: sorted flat indices, into the T * M tokens of `[T, M, C]`, of those kept at `retention`.

    The paper's rule as it stands: rounding, and one token a frame at least, may make N exceed `retention * T * M` a little.
    Raises `ValueError` unless 0 < retention <= 1, and for another shape.
    """
    check_retention(retention)
    similarity = token_similarity(features)
    counts = token_counts(retention_factors(similarity.to_video), retention, features.shape[1])
    return lowest(similarity.to_video + similarity.to_frame, counts)


def lowest(scores: Tensor, counts: np.ndarray) -> Tensor:
    """int64 `[N]`: sorted flat indices of the `counts[t]` lowest of each row of `scores` `[T, M]`; ties to the earlier token."""
    order = scores.argsort(dim=1, stable=True)
    places = torch.arange(order.shape[1], device=order.device).expand_as(order)
    ranks = torch.empty_like(order).scatter_(1, order, places)
    return (ranks < as_tensor(counts, scores)[:, None]).flatten().nonzero()[:, 0]


@dataclass(frozen=True)
class VidCom2:
    """Keeps what `keep_indices` keeps at the largest retention that fits the budget; the question is not read.

    Tokens are scored on their first `width` channels (all of them where None) and kept whole. Ours: `fill` spends what no
    retention spends exactly, as comparisons at equal tokens need (most frames gain a token at nearly the same retention);
    under a budget of fewer tokens than frames, a uniform subset of the frames keeps one token each.
    """

    width: int | None = None
    fill: bool = False
    name: str = "vidcom2"
    budgeted: bool = True
    reference: bool = False

    def compress(self, video_tokens: Tensor, query: Query, budget: int) -> CompressedVideo:
        count, per_frame = video_tokens.shape[:2]
        frames = frames_within(count, per_frame, budget)
        similarity = token_similarity(video_tokens[..., : self.width])
        counts = np.zeros(count, dtype=np.int64)
        counts[frames] = fitting_counts(similarity.to_video[frames], per_frame, budget, fill=self.fill)
        kept = lowest(similarity.to_video + similarity.to_frame, counts)
        return kept_tokens(video_tokens, kept)
