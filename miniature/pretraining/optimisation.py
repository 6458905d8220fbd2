"""How both stages are optimised: Muon for the matrices of the layers, AdamW for everything else; memory that is freed is kept."""

import ctypes
from math import cos, pi
from typing import Final

from torch import Tensor, nn
from torch.optim import AdamW, Muon, Optimizer

WARM_UP = 50
"""Steps until the rate is reached."""
CLIP = 1.0
_TRIM_THRESHOLD: Final = -1
_MMAP_MAX: Final = -4
_NEVER: Final = 2**31 - 1


def optimisers(module: nn.Module, rate: float) -> list[Optimizer]:
    """Muon (its step scaled to AdamW's) on trainable matrices except embeddings and heads, AdamW on the rest."""
    apart = {
        id(parameter)
        for name, part in module.named_modules()
        if isinstance(part, nn.Embedding | nn.Conv2d) or "heads" in name
        for parameter in part.parameters()
    }
    trainable = [parameter for parameter in module.parameters() if parameter.requires_grad]
    matrices = [p for p in trainable if p.ndim == 2 and id(p) not in apart]
    others = [p for p in trainable if not (p.ndim == 2 and id(p) not in apart)]
    return [
        Muon(matrices, lr=rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        AdamW(others, lr=rate, weight_decay=0.0, betas=(0.9, 0.98)),
    ]


def schedule_factor(number: int, steps: int) -> float:
    """Linear warm-up, then a cosine to a hundredth."""
    if number < WARM_UP:
        return (number + 1) / WARM_UP
    return 0.01 + 0.99 * 0.5 * (1 + cos(pi * (number - WARM_UP) / max(1, steps - WARM_UP)))


def step(optimisers: list[Optimizer], module: nn.Module, loss: Tensor, factor: float) -> None:
    """One update: backward, clip the gradient's norm, step with the rate times `factor`, clear."""
    loss.backward()
    nn.utils.clip_grad_norm_(module.parameters(), CLIP)
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group.setdefault("full_rate", group["lr"])
            group["lr"] = group["full_rate"] * factor
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)


def keep_freed_memory() -> None:
    """Ask glibc, for the rest of the process, to serve all sizes from the heap and to leave the heap as it is.

    Giving memory back and getting it zeroed took 0.3 of the time on two cores.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # other C libraries go without
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, _NEVER)
