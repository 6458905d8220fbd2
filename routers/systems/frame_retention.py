"""Frame compression adjustment: how much of each frame is kept, by how unlike its video it is (VidCom2, arXiv 2505.14454).

`r_t = min(1, R (1 + p_t - mean p))` with `p = softmax(uniqueness / 0.01)`. As `1 + p_t - mean p` is never negative, every
`r_t`, and with it every token count, only grows with `R`: the largest `R` that fits a budget is found by bisection.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from videorouter.routers.routing.allocation import uniform_subset

TEMPERATURE: Final = 0.01
STEPS: Final = 2**32
"""`R` is searched in so many steps."""


def retention_factors(video_similarity: Tensor) -> np.ndarray:
    """float64 `[T]`, `1 + p_t - mean p`: their mean is 1, each in `[1 - 1/T, 2 - 1/T]`.

    `video_similarity` `[T, M]` is `TokenSimilarity.to_video` of the frames that share a budget.
    """
    shares = (-video_similarity.double().mean(1) / TEMPERATURE).softmax(0)
    return (1 + shares - shares.mean()).cpu().numpy()


def retained(factors: np.ndarray, retention: float) -> np.ndarray:
    """float64 `[T]`: the share of each frame that is kept at the mean share `retention`."""
    return np.minimum(1, retention * factors)


def token_counts(factors: np.ndarray, retention: float, per_frame: int, least: int = 1) -> np.ndarray:
    """int64 `[T]`: tokens kept of each frame of `per_frame`, at least `least`; halves round to the even number, as in VidCom2."""
    return np.maximum(least, np.rint(retained(factors, retention) * per_frame)).astype(np.int64)


def fitting_counts(
    video_similarity: Tensor,
    per_frame: int,
    budget: int,
    costs: Sequence[int] | np.ndarray | None = None,
    fill: bool = False,
) -> np.ndarray:
    """`largest_counts` by VidCom2's factors for frames with `video_similarity` `[T, M]`; `fill` from those least like the video."""
    last = video_similarity.mean(1).cpu().numpy() if fill else None
    return largest_counts(retention_factors(video_similarity), per_frame, budget, costs, fill_last=last)


def largest_counts(
    factors: np.ndarray,
    per_frame: int,
    budget: int,
    costs: Sequence[int] | np.ndarray | None = None,
    *,
    least: int = 1,
    fill_last: np.ndarray | None = None,
) -> np.ndarray:
    """`token_counts` at the largest retention whose total is at most `budget` (ours).

    `costs[k]` is what a frame that may keep `k` tokens really feeds, where that is less (monotone, `costs[1]` = 1).
    Retentions above 1 are tried too: at R = 1 frames below the mean still lose tokens, and a budget may hold those.
    With `fill_last` `[T]`, what is over then goes to the frames that a larger retention would reach next, of equals to those
    where it is lowest. Raises `ValueError` where not even `least` tokens a frame fit.
    """
    fed = np.arange(per_frame + 1) if costs is None else np.asarray(costs)
    if budget < len(factors) * fed[least]:
        raise ValueError(f"a budget of {budget} tokens cannot hold {fed[least]} of each of {len(factors)} frames")
    all_kept = 1 / factors.min() if factors.min() > 0 else 1.0
    step = float(all_kept) / STEPS

    def total(steps: int) -> int:
        return int(fed[token_counts(factors, steps * step, per_frame, least)].sum())

    counts = token_counts(factors, (bisect_right(range(STEPS + 1), budget, key=total) - 1) * step, per_frame, least)
    return counts if fill_last is None else _filled(counts, factors, fill_last, budget, fed)


def _filled(counts: np.ndarray, factors: np.ndarray, last: np.ndarray, budget: int, fed: np.ndarray) -> np.ndarray:
    """One step more for each frame, in the order in which retention would bring it, while the budget holds it."""
    next_counts = np.searchsorted(fed, fed[counts], side="right")  # the first count that feeds more; past the end: none
    spare = budget - int(fed[counts].sum())
    filled = counts.copy()
    for frame in np.lexsort((last, (next_counts - 0.5) / factors)):
        more = next_counts[frame]
        if more < len(fed) and fed[more] - fed[counts[frame]] <= spare:
            filled[frame] = more
            spare -= int(fed[more] - fed[counts[frame]])
    return filled


def frames_within(frames: int, per_frame: int, budget: int) -> list[int]:
    """All frame numbers, or a uniform subset of `budget` of them where there are more frames than tokens (ours).

    Raises `ValueError` for a budget that holds neither one token of every frame nor one whole frame.
    """
    least = min(frames, per_frame)
    if budget < max(1, least):
        raise ValueError(
            f"a budget of {budget} tokens cannot hold one frame of {per_frame}, nor a token of each of {frames} frames: "
            f"the smallest workable is {least}"
        )
    return uniform_subset(range(frames), min(frames, budget))


def check_retention(retention: float) -> None:
    """Raises `ValueError` unless 0 < retention <= 1."""
    if not 0 < retention <= 1:
        raise ValueError(f"retention {retention} is not a share of the tokens: give a number above 0, at most 1")


def as_tensor(values: np.ndarray, like: Tensor) -> Tensor:
    """`values` on the device of `like`."""
    return torch.from_numpy(values).to(like.device)
