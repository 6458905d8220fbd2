"""VidCom2 (arXiv 2505.14454, section 3), training-free, and its frame compression adjustment around other systems.

Tokens unlike their video and their frame are kept, more of them in unusual frames. `fca+SYSTEM` gives that frame adjustment to any
system that can spend another number of tokens on every frame (the paper's own claim).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from videorouter.routers.backbones.finite import finite_frames
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
from videorouter.routers.systems.spec import Kind
from videorouter.shards.policy import Policy

FLOATS_AT_ONCE: Final = 2**22
"""Tokens are read in chunks of whole frames of about so many float32 (16 MiB), whatever T, M and C."""


@dataclass(frozen=True)
class TokenSimilarity:
    """`to_video` and `to_frame` (`v` and `f` of the paper), float64 `[T, M]`, each in 0..5: 5 is the centre itself."""

    to_video: Tensor
    to_frame: Tensor


@torch.no_grad()
def token_similarity(features: Tensor) -> TokenSimilarity:
    """Sums of Gaussian kernels around the video's and the frame's mean token, over the half of the channels that varies least.

    `features` `[T, M, C]` of any float type, read as float32. Memory beyond them is O(T * M + T * C) and one chunk.
    Raises `ValueError` for another shape or an empty one, `NotFiniteError` naming the first frame that holds NaN.
    """
    if features.ndim != 3 or not features.numel():
        raise ValueError(f"features of shape {list(features.shape)}: [frames, tokens a frame, channels] are needed")
    kept = least_varying_channels(features).float()
    norms, centres, to_centre = _around_frames(features, kept)
    centre = centres.mean(0)
    masked = (centre * kept).float()
    to_video = torch.cat([chunk @ masked for chunk in _chunks(features)]).double() / norms
    seen = (norms < torch.inf).double()  # squared length of a normalised token: a token of zeros stays one
    return TokenSimilarity(
        to_video=_kernels(seen - 2 * to_video + centre.square().sum()),
        to_frame=_kernels(seen - 2 * to_centre + centres.square().sum(1, keepdim=True)),
    )


def least_varying_channels(features: Tensor) -> Tensor:
    """Bool `[C]`: the C // 2 channels (at least one) of lowest variance over all tokens of `[T, M, C]`, ties to the first."""
    means, variances = [], []
    for chunk in _chunks(features):
        mean = chunk.mean(1)
        means.append(mean)
        variances.append((chunk - mean[:, None]).square_().mean(1))
    mean = finite_frames(torch.cat(means)).double()
    # Frames are equally large: the variance of all tokens is that within frames plus that between them.
    variance = torch.cat(variances).double().mean(0) + mean.var(0, correction=0)
    kept = torch.zeros_like(variance, dtype=torch.bool)
    kept[variance.argsort(stable=True)[: max(1, len(variance) // 2)]] = True
    return kept


def _around_frames(features: Tensor, kept: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Norms `[T, M]` (infinite for tokens of zeros), mean normalised tokens `[T, C]` and products with those `[T, M]`, float64."""
    norms, centres, products = [], [], []
    for chunk in _chunks(features):
        norm = (chunk.square() @ kept).sqrt()
        norm[norm == 0] = torch.inf
        centre = (norm.reciprocal()[:, None] @ chunk)[:, 0] * kept / chunk.shape[1]
        norms.append(norm)
        centres.append(centre)
        products.append((centre[:, None] @ chunk.mT)[:, 0])  # five times as fast as chunk @ column on a CPU
    long = torch.cat(norms).double()
    return long, torch.cat(centres).double(), torch.cat(products).double() / long


def _kernels(squared_distance: Tensor) -> Tensor:
    """The sum of `exp(-d2 / (2 a))` over a in 2, 1, 1/2, 1/4, 1/8: each kernel is the square of the one before."""
    kernel = (squared_distance / -4).exp()
    total = kernel.clone()
    for _ in range(4):
        kernel = kernel * kernel
        total += kernel
    return total


def _chunks(features: Tensor) -> Iterator[Tensor]:
    frames_at_once = max(1, FLOATS_AT_ONCE // (features.shape[1] * features.shape[2]))
    return (chunk.float() for chunk in features.split(frames_at_once))


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

    drops_tokens: ClassVar[bool] = True

    width: int | None = None
    fill: bool = False
    name: str = "vidcom2"
    budgeted: bool = True
    kind: Kind = "compared"
    reads_question: ClassVar[bool] = False
    spends_cap: bool = False

    def compress(self, video_tokens: Tensor, query: Query, budget: int) -> CompressedVideo:
        count, per_frame = video_tokens.shape[:2]
        frames = frames_within(count, per_frame, budget)
        similarity = token_similarity(video_tokens[..., : self.width])
        counts = np.zeros(count, dtype=np.int64)
        counts[frames] = fitting_counts(similarity.to_video[frames], per_frame, budget, fill=self.fill)
        kept = lowest(similarity.to_video + similarity.to_frame, counts)
        return kept_tokens(video_tokens, kept, grid=query.grid)


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

    @property
    def spends_cap(self) -> bool: ...

    def adjustable(self, video_tokens: Tensor, query: Query, budget: int) -> Adjustable:
        """Which frames of `[T, M, D]` share how many tokens. Raises `ValueError` for unworkable budgets."""
        ...

    def fed(self, video_tokens: Tensor, query: Query) -> np.ndarray:
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
    kind: Kind = "compared"

    @property
    def name(self) -> str:
        return f"fca+{self.inner.name}"

    @property
    def spends_cap(self) -> bool:
        return self.inner.spends_cap

    @property
    def drops_tokens(self) -> bool:
        return bool(getattr(self.inner, "drops_tokens", False))

    @property
    def reads_question(self) -> bool:
        return bool(getattr(self.inner, "reads_question", True))

    def least_budget(self, tokens_per_frame: int) -> int:
        """What `inner` must be able to settle."""
        adjusted = getattr(self.inner, "least_adjusted", None)
        return 1 if adjusted is None else int(adjusted(tokens_per_frame))

    def compress(self, video_tokens: Tensor, query: Query, budget: int) -> CompressedVideo:
        share = self.inner.adjustable(video_tokens, query, budget)
        counts = dict(share.settled)
        if share.frames:
            per_frame = video_tokens.shape[1]
            similarity = token_similarity(video_tokens[..., : self.width]).to_video[list(share.frames)]
            fitting = fitting_counts(
                similarity, per_frame, share.budget, self.inner.fed(video_tokens, query), self.fill
            )
            counts |= dict(zip(share.frames, fitting.tolist(), strict=True))
        kept = self.inner.reduce(video_tokens, query, counts)
        return replace(kept, policy=share.policy, relevance=share.relevance)
