"""FLOPs of each stage until the first token, and of every token after it, for VideoRouter and for the dense model.

"Frames" are as the model counts them: patches where it merges sampled frames (Qwen-VL).
"""

import math
from dataclasses import dataclass
from typing import Literal

from videorouter.routers.cost.geometry import DecoderGeometry, Geometry, VisionGeometry
from videorouter.routers.cost.workload import Workload
from videorouter.routers.routing.pooling import pooled_grid
from videorouter.routers.systems.videorouter import can_be_averaged_to
from videorouter.shards.policy import Policy

Attention = Literal["square", "causal"]
"""What counts as attention: the whole square of a prompt, as FlopCounterMode counts it, or what a fused kernel computes of it."""


def vision_flops(vision: VisionGeometry, frames: float = 1) -> float:
    """Patches, layers and projectors for `frames` frames."""
    projections = 8 * vision.layers * vision.positions * vision.width**2
    mlps = 2 * vision.layers * vision.positions * vision.matrices * vision.width * vision.intermediate
    attention = 4 * vision.pairs * vision.width
    patches = 2 * vision.patches * vision.patch_values * vision.width
    projected = sum(2 * each.tokens * each.inner * (each.taken + each.given) for each in vision.projectors)
    return frames * (patches + projections + mlps + attention + projected)


def decoder_flops(
    decoder: DecoderGeometry,
    tokens: float,
    *,
    before: float = 0,
    layers: int | None = None,
    attention: Attention = "square",
) -> float:
    """One pass of `tokens` tokens that continue from `before` cached ones, through the first `layers` layers (all by default).

    Of a mixture a token pays for its router and the experts that it meets. Windows save work under "causal" alone.
    """
    total = 0.0
    for layer in range(decoder.layers if layers is None else layers):
        matrices = 2 * decoder.query_width + 2 * decoder.key_width + _mlp(decoder, layer)
        window = decoder.window(layer) if attention == "causal" else None
        total += 2 * tokens * decoder.width * matrices
        total += 4 * decoder.query_width * _pairs(tokens, before, attention, window)
    return total


def _mlp(decoder: DecoderGeometry, layer: int) -> int:
    """Columns of the matrices that a token meets in an MLP."""
    experts = decoder.experts_of(layer)
    return 3 * decoder.intermediate if experts is None else 3 * experts.active * experts.intermediate + experts.count


def _pairs(tokens: float, before: float, attention: Attention, window: int | None) -> float:
    """Queries times the keys of each."""
    if attention == "square":
        return tokens * before + tokens**2
    if window is None or before + tokens <= window:
        return tokens * before + tokens * (tokens + 1) / 2
    growing = min(tokens, max(0, window - before))  # tokens whose window still reaches back to the first one
    return growing * before + growing * (growing + 1) / 2 + (tokens - growing) * window


def head_flops(decoder: DecoderGeometry, tokens: float = 1) -> float:
    """Logits of `tokens` positions; a prefill needs those of its last one only."""
    return 2 * tokens * decoder.width * decoder.vocabulary


@dataclass(frozen=True)
class Stages:
    """FLOPs by stage. `decode` is one token more; `prompt` and `visual` count tokens, means over the policies.

    `longest` is the prompt of that policy, among those that occur, whose prompt is longest.
    """

    vision: float
    router: float
    prefill: float
    decode: float
    prompt: float
    visual: float
    longest: float

    @property
    def first_token(self) -> float:
        """FLOPs until the first token is there."""
        return self.vision + self.router + self.prefill


@dataclass(frozen=True)
class Encoded:
    """Frames encoded at the screening side, and in full."""

    small: float
    full: float


def encoded_frames(geometry: Geometry, workload: Workload, policy: Policy, small: Geometry | None) -> Encoded:
    """The frames that VideoRouter encodes under `policy`; `small` is the geometry at its screening side, if it has one.

    As `RoutedCompression` does: in full only what small frames cannot be averaged to, small ones only where they serve.
    """
    vision = geometry.vision
    frames = workload.units(vision.frames_per_patch)
    if small is None:
        return Encoded(0, frames)
    kept = workload.kept_by_scale(policy, vision.tokens, vision.frames_per_patch)
    needed = [
        (count, can_be_averaged_to(small.vision.grid, pooled_grid(vision.grid, scale))) for scale, count, _ in kept
    ]
    full = sum(count for count, coarse in needed if not coarse)
    screened = policy == "fragment" or any(coarse for _, coarse in needed)
    return Encoded(frames if screened else 0, full)


def dense_stages(
    geometry: Geometry, workload: Workload, attention: Attention = "square", small: Geometry | None = None
) -> Stages:
    """Every token of every frame is fed and no router runs, at whatever side routing would screen."""
    frames = workload.units(geometry.vision.frames_per_patch)
    mix: list[tuple[float, float, float]] = [(1.0, frames, frames * geometry.vision.tokens)]
    return _answered(geometry, workload, attention, mix, vision_flops(geometry.vision, frames), 0.0)


def routed_stages(
    geometry: Geometry, workload: Workload, attention: Attention = "square", small: Geometry | None = None
) -> Stages:
    """VideoRouter: all frames are encoded, both routers run as they would, and what they keep is fed.

    With `small`, the model's geometry at the screening side, frames are encoded as `encoded_frames` says. Means over the mix of
    policies. Raises `ValueError` for scales that the frames do not allow.
    """
    vision, mix, encoding = geometry.vision, [], 0.0
    for policy, share in workload.policies:
        mix.append((share, *workload.kept(policy, vision.tokens, vision.frames_per_patch)))
        encoded = encoded_frames(geometry, workload, policy, small)
        encoding += share * vision_flops(vision, encoded.full)
        encoding += share * vision_flops(small.vision, encoded.small) if small else 0
    return _answered(geometry, workload, attention, mix, encoding, router_flops(small or geometry, workload, attention))


def router_flops(geometry: Geometry, workload: Workload, attention: Attention = "square") -> float:
    """The shadow stack over the question for every question, and over each frame and then the question under `fragment`.

    Image states are computed once a frame and the question continues from their cache, as `ShadowStack` does. `geometry` is at the
    side at which the routers see frames. The heads (about 0.01 GFLOPs a frame) are left out.
    """
    decoder, question, layers = geometry.decoder, workload.question_tokens, workload.shadow_layers
    seen = router_tokens(geometry, workload)
    frame = decoder_flops(decoder, seen, layers=layers, attention=attention)
    asked = decoder_flops(decoder, question, before=seen, layers=layers, attention=attention)
    semantic = decoder_flops(decoder, question, layers=layers, attention=attention)
    return semantic + workload.fragment * workload.units(geometry.vision.frames_per_patch) * (frame + asked)


def router_tokens(geometry: Geometry, workload: Workload) -> int:
    """Tokens of a frame for the Image Router."""
    return math.prod(pooled_grid(geometry.vision.grid, workload.router_pool))


def prompt_tokens(geometry: Geometry, workload: Workload, frames: float, visual: float) -> float:
    """Tokens of a whole prompt that feeds `visual` visual tokens of `frames` frames."""
    labels = geometry.label_tokens if workload.label_tokens is None else workload.label_tokens
    return visual + frames * labels + geometry.video_tokens + workload.text_tokens


def _answered(
    geometry: Geometry,
    workload: Workload,
    attention: Attention,
    mix: list[tuple[float, float, float]],
    vision: float,
    router: float,
) -> Stages:
    """`mix` holds (share of questions, frames fed, visual tokens fed)."""
    decoder, head = geometry.decoder, head_flops(geometry.decoder)
    prompts = [(share, prompt_tokens(geometry, workload, frames, tokens)) for share, frames, tokens in mix]
    return Stages(
        vision=vision,
        router=router,
        prefill=sum(share * (decoder_flops(decoder, prompt, attention=attention) + head) for share, prompt in prompts),
        decode=sum(
            share * (decoder_flops(decoder, 1, before=prompt, attention=attention) + head) for share, prompt in prompts
        ),
        prompt=sum(share * prompt for share, prompt in prompts),
        visual=sum(share * tokens for share, _, tokens in mix),
        longest=max(prompt for _, prompt in prompts),
    )
