"""What VideoRouter may do beyond the paper; each is off by default, its measured effect is in docs/systems.md (ours)."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class RoutingOptions:
    """Options of the system `videorouter`.

    Args:
        min_confidence: a policy less probable than this gives way to `global`; 0.5 and below never do
        smoothing: relevance of a frame becomes a weighted mean over so many neighbours on each side
        router_scale: the Image Router reads frames pooled by this compression scale: fewer tokens for it, the same for the model
        graded: tokens of a frame follow its relevance, instead of two scales; as many in all as the two scales would feed
        screen_side: frames are encoded at this side in pixels first, and in full only those whose tokens are needed in full
    """

    min_confidence: float = 0.0
    smoothing: int = 0
    router_scale: int = 1
    graded: bool = False
    screen_side: int | None = None

    def __post_init__(self) -> None:
        """Raises `ValueError` for values that mean nothing, and for `graded` together with `screen_side`."""
        if not 0 <= self.min_confidence <= 1:
            raise ValueError(f"min_confidence {self.min_confidence} is not a probability")
        if self.smoothing < 0 or self.router_scale < 1:
            raise ValueError(
                f"smoothing {self.smoothing} must be at least 0, router_scale {self.router_scale} at least 1"
            )
        if self.graded and self.screen_side:
            raise ValueError("graded frames need all frames in full, screen_side avoids just that: choose one of them")


def smoothed(relevance: Tensor, neighbours: int) -> Tensor:
    """`[..., T]` averaged over `neighbours` frames on each side, weights falling in a triangle, those beyond the ends left out."""
    if not neighbours:
        return relevance
    ramp = torch.arange(1, neighbours + 2, dtype=relevance.dtype, device=relevance.device)
    weights = torch.cat([ramp, ramp[:-1].flip(0)])[None, None]
    rows = relevance.reshape(-1, 1, relevance.shape[-1])
    sums = functional.conv1d(rows, weights, padding=neighbours)
    present = functional.conv1d(torch.ones_like(rows), weights, padding=neighbours)
    return (sums / present).view_as(relevance)
