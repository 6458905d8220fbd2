"""Scores and labels of a whole validation, from all ranks: the mean of parts' quantiles is not the whole's quantile (ours)."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat


class ValidationScores(Metric):
    """Collects; `compute` gives scores `[N]` in 0..1 and bools `[N]` of all ranks together, in the order of the ranks."""

    full_state_update = False

    def __init__(self) -> None:
        super().__init__()
        self.scores: list[Tensor]
        self.labels: list[Tensor]
        self.add_state("scores", default=[], dist_reduce_fx="cat")
        self.add_state("labels", default=[], dist_reduce_fx="cat")

    def update(self, scores: Tensor, labels: Tensor) -> None:
        """Add scores and bools of one shape."""
        self.scores.append(scores.detach().float().flatten())
        self.labels.append(labels.to(torch.uint8).flatten())  # gloo and nccl send no bools alike

    def compute(self) -> tuple[Tensor, Tensor]:
        scores: Any = dim_zero_cat(self.scores)
        labels: Any = dim_zero_cat(self.labels)
        return scores.cpu(), labels.cpu().bool()
