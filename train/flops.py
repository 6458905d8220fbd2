"""Model FLOPs of training, in closed form: what MFU divides by what a device could do (formulas of `routers/cost`; ours)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from videorouter.routers.cost.flops import decoder_flops, head_flops, vision_flops
from videorouter.routers.cost.geometry import Geometry, geometry_of


@dataclass(frozen=True)
class ModelFlops:
    """Of one base model whose first `shadow_layers` layers routers read. Layers computed again on the way back do not count."""

    geometry: Geometry
    shadow_layers: int

    @classmethod
    def of(cls, config: Any, shadow_layers: int) -> "ModelFlops | None":
        """None for a family without formulas."""
        try:
            return cls(geometry_of(config), shadow_layers)
        except ValueError:
            return None

    def frames(self, count: int) -> float:
        """The frozen vision tower over so many frames."""
        return vision_flops(self.geometry.vision, self.geometry.decoder.width, count)

    def relevance(self, frames: int, tokens: int, questions: Sequence[int]) -> float:
        """The frozen layers over frames of `tokens` tokens each, shared by questions of so many tokens."""
        decoder, layers = self.geometry.decoder, self.shadow_layers
        asked = sum(decoder_flops(decoder, question, before=tokens, layers=layers) for question in questions)
        return frames * (decoder_flops(decoder, tokens, layers=layers) + asked)

    def policies(self, questions: Sequence[int]) -> float:
        """The frozen layers over questions of so many tokens."""
        return sum(decoder_flops(self.geometry.decoder, tokens, layers=self.shadow_layers) for tokens in questions)

    def answer(self, prompt: int, answer: int, whole: bool) -> float:
        """Forward and backward over one prompt with its answer; gradients of weights are taken of the `whole` model or of few."""
        forward = decoder_flops(self.geometry.decoder, prompt + answer) + head_flops(self.geometry.decoder, answer)
        return forward * (3 if whole else 2)
