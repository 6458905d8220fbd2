"""What of a router's first layers is its own: nothing, adapters beside their matrices, or the layers themselves (ours)."""

from dataclasses import dataclass
from typing import Any, Final, Literal

from torch import nn

from videorouter.routers.shadow import ShadowStack

ShadowMode = Literal["frozen", "lora", "full"]
_TARGETS: Final = r"layers\.\d+\.(self_attn|mlp)\.(q|k|v|o|gate|up|down)_proj"


@dataclass(frozen=True)
class ShadowWeights:
    """`mode` "frozen": the base's layers as they are; "lora": low-rank adapters (peft) of `rank`; "full": layers of its own."""

    mode: ShadowMode = "frozen"
    rank: int = 8

    @property
    def own(self) -> bool:
        """Whether the router has weights below its head."""
        return self.mode != "frozen"

    def put_into(self, shadow: ShadowStack) -> None:
        """Make room for them: adapters, zero at first, beside every matrix. Everything stays frozen."""
        if self.mode == "lora":
            from peft import LoraConfig, inject_adapter_in_model

            config = LoraConfig(r=self.rank, lora_alpha=2 * self.rank, target_modules=_TARGETS, bias="none")
            inject_adapter_in_model(config, shadow.stack)
        shadow.requires_grad_(False)

    def tensors(self, shadow: ShadowStack) -> dict[str, nn.Parameter]:
        """The router's own parameters below its head by their names in the stack, without peft's parts of names."""
        named: dict[str, Any] = dict(shadow.stack.named_parameters())
        if self.mode == "lora":
            return {name.replace(".default.", "."): value for name, value in named.items() if ".lora_" in name}
        return named if self.mode == "full" else {}
