"""The two small heads that read the shadow stack (paper 3.2; pooling, standardisation and widths are ours)."""

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn

SINK_RATIO = 10.0


def mean_without_sinks(states: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean over tokens, `[..., L, D]` -> `[..., D]`, leaving out attention sinks (ours).

    Large language models give a few tokens norms hundreds of times the others'; one of them would drown the mean.
    A token is a sink when its norm exceeds `SINK_RATIO` times the median of its sequence. `mask` `[..., L]` marks real tokens.
    """
    norms = states.norm(dim=-1)
    real = torch.ones_like(norms, dtype=torch.bool) if mask is None else mask
    median = norms.masked_fill(~real, torch.nan).nanmedian(dim=-1, keepdim=True).values
    weights = (real & (norms <= SINK_RATIO * median)).to(states.dtype).unsqueeze(-1)
    return (states * weights).sum(dim=-2) / weights.sum(dim=-2).clamp_min(1)


class Standardise(nn.Module):
    """Per-feature (x - mean) / deviation with moments gathered on training data and stored in the export (ours).

    Moments stay float32 when the module around them is given another dtype: they are data, not weights.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))

    def fit(self, count: Tensor, total: Tensor, squares: Tensor) -> None:
        """Set the moments from sums over `count` rows; `total` and `squares` `[width]`, float64."""
        mean = total / count
        variance = (squares / count - mean**2).clamp_min(1e-12)
        self.mean.copy_(mean)
        self.deviation.copy_(variance.sqrt())

    def forward(self, features: Tensor) -> Tensor:
        """float32, whatever the features' dtype."""
        return (features - self.mean) / self.deviation

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        device = fn(torch.empty(0, device=self.mean.device)).device
        self.mean, self.deviation = self.mean.to(device), self.deviation.to(device)
        return self


class SemanticHead(nn.Module):
    """g_s: standardise -> Linear(D, hidden) -> GELU -> Linear(hidden, 2); class 0 `global`, class 1 `fragment`."""

    def __init__(self, width: int, hidden: int = 1024) -> None:
        super().__init__()
        self.standardise = Standardise(width)
        self.layers = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, 2))

    def forward(self, features: Tensor) -> Tensor:
        """`[Q, D]` pooled question states -> `[Q, 2]` logits."""
        return self.layers(self.standardise(features).to(self.layers[0].weight.dtype))


class ImageHead(nn.Module):
    """g_v: standardise -> Linear(2D, hidden) -> GELU -> Linear(hidden, 1) on image and question means side by side."""

    def __init__(self, width: int, hidden: int = 1024) -> None:
        super().__init__()
        self.standardise = Standardise(2 * width)
        self.layers = nn.Sequential(nn.Linear(2 * width, hidden), nn.GELU(), nn.Linear(hidden, 1))

    def forward(self, features: Tensor) -> Tensor:
        """`[..., 2D]` pooled frame-question states -> `[...]` logits."""
        return self.layers(self.standardise(features).to(self.layers[0].weight.dtype)).squeeze(-1)
