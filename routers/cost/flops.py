"""FLOPs of each stage until the first token, and of every token after it, for VideoRouter and for the dense model."""

from dataclasses import dataclass
from typing import Literal

from videorouter.routers.cost.geometry import DecoderGeometry, Geometry, VisionGeometry, Workload
from videorouter.routers.routing.allocation import scaled_tokens

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


@dataclass(frozen=True)
class Stages:
    """FLOPs by stage. `decode` is one token more; `prompt` and `visual` count tokens, means over the policies."""

    vision: float
    router: float
    prefill: float
    decode: float
    prompt: float
    visual: float

    @property
    def first_token(self) -> float:
        """FLOPs until the first token is there."""
        return self.vision + self.router + self.prefill


def dense_stages(geometry: Geometry, workload: Workload, attention: Attention = "square") -> Stages:
    """Every token of every frame is fed and no router runs."""
    tokens = workload.frames * geometry.vision.tokens
    return _answered(geometry, workload, attention, [(1.0, workload.frames, tokens)], 0.0)


def routed_stages(geometry: Geometry, workload: Workload, attention: Attention = "square") -> Stages:
    """VideoRouter: all frames are encoded, both routers run as they would, and what they keep is fed.

    Means over the mix of policies. Raises `ValueError` for scales that the frames do not allow.
    """
    share, per_frame = workload.fragment, geometry.vision.tokens
    mix = [(share, *workload.kept("fragment", per_frame)), (1 - share, *workload.kept("global", per_frame))]
    return _answered(geometry, workload, attention, mix, router_flops(geometry, workload, attention))


def router_flops(geometry: Geometry, workload: Workload, attention: Attention = "square") -> float:
    """The shadow stack over the question for every question, and over each frame and then the question under `fragment`.

    Image states are computed once a frame and the question continues from their cache, as `ShadowStack` does. The heads
    (about 0.01 GFLOPs a frame) are left out.
    """
    decoder, question, layers = geometry.decoder, workload.question_tokens, workload.shadow_layers
    seen = scaled_tokens(geometry.vision.tokens, workload.router_pool)
    frame = decoder_flops(decoder, seen, layers=layers, attention=attention)
    asked = decoder_flops(decoder, question, before=seen, layers=layers, attention=attention)
    semantic = decoder_flops(decoder, question, layers=layers, attention=attention)
    return semantic + workload.fragment * workload.frames * (frame + asked)


def _answered(
    geometry: Geometry,
    workload: Workload,
    attention: Attention,
    mix: list[tuple[float, float, float]],
    router: float,
) -> Stages:
    """`mix` holds (share of questions, frames fed, visual tokens fed)."""
    decoder, head = geometry.decoder, head_flops(geometry.decoder)
    prompts = [(share, workload.prompt(frames, tokens)) for share, frames, tokens in mix]
    return Stages(
        vision=vision_flops(geometry.vision, decoder.width, workload.frames),
        router=router,
        prefill=sum(share * (decoder_flops(decoder, prompt, attention=attention) + head) for share, prompt in prompts),
        decode=sum(share * (decoder_flops(decoder, 1, before=prompt) + head) for share, prompt in prompts),
        prompt=sum(share * prompt for share, prompt in prompts),
        visual=sum(share * tokens for share, _, tokens in mix),
    )
