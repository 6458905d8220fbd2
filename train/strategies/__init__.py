"""Distribution from one key, `--trainer.strategy`: Lightning's own names, and `deepspeed_1`, `deepspeed_2`, `deepspeed_3`."""

from typing import Any, Final

from pytorch_lightning.strategies import StrategyRegistry

ZERO: Final = ("deepspeed_1", "deepspeed_2", "deepspeed_3", "deepspeed_2_offload", "deepspeed_3_offload")
"""ZeRO stages 1 to 3; `_offload` keeps optimizer states, and at stage 3 weights, in host memory (needs a compiler)."""


def register() -> None:
    """Make the names known to Lightning's Trainer. Raises nothing: deepspeed is imported when one of them is asked for."""
    from videorouter.train.strategies.zero import ZeroStrategy

    for name in ZERO:
        if name not in StrategyRegistry:
            StrategyRegistry.register(name, ZeroStrategy, description="DeepSpeed ZeRO", **_options(name))


def _options(name: str) -> dict[str, Any]:
    stage, offload = int(name[len("deepspeed_")]), name.endswith("_offload")
    return {"stage": stage, "offload_optimizer": offload, "offload_parameters": offload and stage == 3}
