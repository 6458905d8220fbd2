"""Floating point operations of matrix products, in closed form; a multiplication and an addition are two (ours).

What `torch.utils.flop_counter.FlopCounterMode` counts is counted here: linear layers, convolutions, attention's two products.
Norms, activations, softmax and rotations are not (below one percent). For a causal mask there are two conventions. `square`
is the counter's: every query with every key, masked or not. `causal` is what fused kernels compute: no key after its query.
"""

from typing import Literal

from videorouter.routers.cost.geometry import DecoderGeometry, VisionGeometry

Attention = Literal["square", "causal"]


def vision_flops(vision: VisionGeometry, decoder_width: int, frames: float = 1) -> float:
    """Patches, layers and projector for `frames` frames."""
    positions, width = vision.positions, vision.width
    layer = 8 * positions * width**2 + 4 * positions * width * vision.intermediate + 4 * positions**2 * width
    patches = 2 * vision.patches * vision.patch_values * width
    projector = 2 * vision.tokens * (vision.shuffled * decoder_width + decoder_width**2)
    return frames * (patches + vision.layers * layer + projector)


def decoder_flops(
    decoder: DecoderGeometry,
    tokens: float,
    *,
    before: float = 0,
    layers: int | None = None,
    attention: Attention = "square",
) -> float:
    """One pass of `tokens` tokens that continue from `before` cached ones, through `layers` layers (all by default)."""
    per_token = 2 * decoder.width * (2 * decoder.query_width + 2 * decoder.key_width + 3 * decoder.intermediate)
    among_themselves = tokens**2 if attention == "square" else tokens * (tokens + 1) / 2
    products = 4 * decoder.query_width * (tokens * before + among_themselves)
    return (decoder.layers if layers is None else layers) * (tokens * per_token + products)


def head_flops(decoder: DecoderGeometry, tokens: float = 1) -> float:
    """Logits of `tokens` positions; a prefill needs those of its last one only."""
    return 2 * tokens * decoder.width * decoder.vocabulary
