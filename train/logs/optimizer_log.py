"""What the optimizer does, in the logs: its rate and the norm of what it follows (ours)."""

from typing import Any

import torch
from pytorch_lightning.callbacks import Callback

from videorouter.train.optimizing.strategies import ZeroStrategy


class OptimizerLog(Callback):
    """Logs `train/rate`, the first group's, and `train/gradient_norm` of all that is trained, before it is clipped."""

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: torch.optim.Optimizer) -> None:
        if (trainer.global_step + 1) % trainer.log_every_n_steps:
            return
        told = {"train/rate": optimizer.param_groups[0]["lr"]}
        if not isinstance(trainer.strategy, ZeroStrategy):  # DeepSpeed holds gradients of its own
            gradients = [one.grad for one in pl_module.trained_tensors().values() if one.grad is not None]
            told["train/gradient_norm"] = float(torch.nn.utils.get_total_norm(gradients))
        pl_module.log_dict(told, batch_size=1, rank_zero_only=True)
