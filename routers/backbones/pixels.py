"""Normalisation of frames, as the families' image processors do it."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Normalisation:
    """Mean and deviation taken out of RGB in 0..1, as the families' published preprocessor settings say."""

    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]

    def __call__(self, frames: Tensor) -> Tensor:
        """uint8 `[T, S, S, 3]` -> float32 `[T, 3, S, S]`."""
        mean = torch.tensor(self.mean, device=frames.device)
        deviation = torch.tensor(self.deviation, device=frames.device)
        return ((frames.float() / 255 - mean) / deviation).permute(0, 3, 1, 2)


IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP = Normalisation((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
HALF = Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
