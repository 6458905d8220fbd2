"""Rate, decay and schedule of a training, and what becomes of them when it is resumed with others (ours)."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from videorouter.train.optimizing.optimizer_groups import Group


def warmup_cosine(optimizer: Optimizer, steps: int, warmup_share: float) -> LambdaLR:
    """A schedule of `steps` optimizer steps, the first `warmup_share` of them warming up (at least one)."""
    warmup = max(1, round(steps * warmup_share))

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        progress = (step - warmup) / max(1, steps - warmup)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

    return LambdaLR(optimizer, factor)


@dataclass(frozen=True)
class Settings:
    """What a run asks for, which a resumed one may change: peak rates, decay, share of warming up, optimizer steps in all."""

    learning_rate: float
    weight_decay: float
    decay_norms_and_biases: bool
    warmup_share: float
    steps: int

    def apply(self, optimizer: Optimizer, schedule: Any, groups: Sequence[Group]) -> None:
        """Set them in a restored optimizer, whose groups are to be these, and its schedule, which say what was saved."""
        schedule.base_lrs = [group.rate for group in groups]
        factors = [factor(schedule.last_epoch) for factor in schedule.lr_lambdas]
        for restored, group, factor in zip(optimizer.param_groups, groups, factors, strict=True):
            restored |= {"initial_lr": group.rate, "lr": group.rate * factor, "weight_decay": group.decay}
        schedule._last_lr = [restored["lr"] for restored in optimizer.param_groups]

    def told(self) -> dict[str, float]:
        """For a checkpoint."""
        return asdict(self)

    def changes(self, saved: dict[str, float]) -> str:
        """What is other than in a checkpoint; nothing where all is the same."""
        mine = self.told()
        return ", ".join(f"{name} {mine[name]:g}, not {saved[name]:g}" for name in mine if mine[name] != saved[name])
