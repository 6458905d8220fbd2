"""How alike every token is to its video and to its frame: what VidCom2 scores with (arXiv 2505.14454, section 3; passes ours).

No normalised copy of the tokens is made: with `w` the inverse norm over the kept channels, a token's squared distance to a
centre `g` is `1 - 2 w (x . g) + |g|^2`, so that all is products of the tokens with vectors, a few frames at a time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

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
    Raises `ValueError` for another shape or an empty one.
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
    mean = torch.cat(means).double()
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
