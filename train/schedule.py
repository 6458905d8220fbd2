"""Learning rate over optimizer steps: linear warm-up, then a cosine to zero (ours; the paper gives peak rates only)."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def warmup_cosine(optimizer: Optimizer, steps: int, warmup_share: float) -> LambdaLR:
    """A schedule of `steps` optimizer steps, the first `warmup_share` of them warming up (at least one)."""
    warmup = max(1, round(steps * warmup_share))

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        progress = (step - warmup) / max(1, steps - warmup)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

    return LambdaLR(optimizer, factor)
