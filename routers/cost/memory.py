"""Peak memory of one answer in closed form (ours): weights, and the largest of vision chunk, routing chunk and prefill.

The peaks lie in a layer's MLP. The vision MLP holds five states (the tower's input, the layer's, what attention added, their
sum, and that normed) and the inner states before and after their activation. The decoder's holds four (the embedded prompt, the
layer's input, the sum after attention, and that normed) and gate, up and their product at once; beside them lie the keys and values
of all layers and the video's tokens, all of them and those kept. Attention is assumed fused (SDPA): no square of scores. What a GPU
keeps for itself (its context, workspaces, holes between blocks) is not in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from videorouter.routers.cost.geometry import DecoderGeometry, Geometry, Workload
from videorouter.routers.routing.allocation import scaled_tokens
from videorouter.routers.routing.routers import TOKENS_AT_ONCE


@dataclass(frozen=True)
class PeakMemory:
    """Bytes by what holds them. Routers read the model's own layers; their heads (22 MB at 8B) are left out."""

    weights: float
    vision: float
    route: float
    prefill: float

    @property
    def total(self) -> float:
        """The most that is held at once."""
        return self.weights + max(self.vision, self.route, self.prefill)


def peak_memory(
    geometry: Geometry,
    workload: Workload,
    parameters: Mapping[str, int],
    *,
    prompt: float,
    visual: float,
    bytes_per_number: int = 2,
    routed: bool = True,
) -> PeakMemory:
    """The peak while answering from `visual` tokens in a prompt of `prompt` tokens, all in one dtype.

    `parameters` by part as `parameters_by_part` gives them.
    """
    decoder = geometry.decoder
    video = workload.frames * geometry.vision.tokens * decoder.width
    vision = vision_activations(geometry, min(workload.frames, workload.frames_at_once)) + video
    prefill = prefill_activations(decoder, prompt) + video + visual * decoder.width
    route = routing_activations(geometry, workload) + video if routed else 0
    return PeakMemory(
        weights=bytes_per_number * sum(parameters.values()),
        vision=bytes_per_number * vision,
        route=bytes_per_number * route,
        prefill=bytes_per_number * prefill,
    )


def vision_activations(geometry: Geometry, frames: float) -> float:
    """Numbers held at the peak of the vision tower over `frames` frames at once, their pixels among them."""
    vision = geometry.vision
    return frames * (vision.pixels + vision.positions * (5 * vision.width + 2 * vision.intermediate))


def prefill_activations(decoder: DecoderGeometry, prompt: float) -> float:
    """Numbers held at the peak of a prefill of `prompt` tokens: cache, embedded prompt, one layer's MLP."""
    return prompt * (2 * decoder.layers * decoder.key_width + _mlp(decoder))


def routing_activations(geometry: Geometry, workload: Workload) -> float:
    """Numbers held while the Image Router reads as many frames as it takes at once."""
    decoder, seen = geometry.decoder, scaled_tokens(geometry.vision.tokens, workload.router_pool)
    tokens = min(workload.frames, max(1, TOKENS_AT_ONCE // seen)) * seen
    return tokens * (2 * workload.shadow_layers * decoder.key_width + _mlp(decoder))


def _mlp(decoder: DecoderGeometry) -> int:
    """Numbers held for one token at the peak of a decoder layer."""
    return 4 * decoder.width + 3 * decoder.intermediate
