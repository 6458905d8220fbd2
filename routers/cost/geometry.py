"""The numbers that cost depends on: of the workload, of a checkpoint's config, and parameters by part (exact, without a weight)."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from videorouter.routers.routing.allocation import Scales, scaled_tokens
from videorouter.shards.policy import Policy


@dataclass(frozen=True)
class Workload:
    """One question about one video, or the mean of many.

    `fragment` is the share of questions routed to `fragment`, `relevant` the share of frames found relevant under it. The
    defaults are what the published mean token counts imply: 61.7 % and 17.6 of 64. `label_tokens` stand around each frame
    (`Frame-12: <img>..</img>` and a line break; 8.9 on average with InternVL3's tokenizer), `text_tokens` are the rest of
    the prompt, question included; the routers read `question_tokens`. `router_pool` divides the tokens a frame has for the
    Image Router (ours; 1 is the paper's).
    """

    frames: int = 64
    budget: int = 12_288
    scales: Scales = field(default_factory=Scales)
    fragment: float = 0.617
    relevant: float = 17.6 / 64
    question_tokens: int = 40
    text_tokens: int = 60
    label_tokens: int = 9
    shadow_layers: int = 4
    router_pool: int = 1
    frames_at_once: int = 32

    def __post_init__(self) -> None:
        for name in ("fragment", "relevant"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share between 0 and 1, not {getattr(self, name)}")
        for name in ("frames", "budget", "question_tokens", "shadow_layers", "router_pool", "frames_at_once"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")

    def kept(self, policy: Policy, tokens_per_frame: int) -> tuple[float, float]:
        """(frames, visual tokens) fed under `policy`: `allocation.allocate`, except that means may be fractions of frames.

        Raises `ValueError` for a scale that `tokens_per_frame` does not allow.
        """
        if policy == "global":
            cost = scaled_tokens(tokens_per_frame, self.scales.global_scale)
            frames: float = min(self.frames, self.budget // cost)
            return frames, frames * cost
        sharp = scaled_tokens(tokens_per_frame, self.scales.relevant_scale)
        coarse = scaled_tokens(tokens_per_frame, self.scales.irrelevant_scale)
        evidence = self.relevant * self.frames
        if evidence * sharp >= self.budget:
            frames = self.budget // sharp
            return frames, frames * sharp
        background = min(self.frames - evidence, (self.budget - evidence * sharp) // coarse)
        return evidence + background, evidence * sharp + background * coarse

    def prompt(self, frames: float, tokens: float) -> float:
        """Tokens of a whole prompt that feeds `tokens` visual tokens of `frames` frames."""
        return tokens + frames * self.label_tokens + self.text_tokens


@dataclass(frozen=True)
class VisionGeometry:
    """A vision transformer and its projector, one frame at a time.

    `positions` its layers see a frame (patches and class token), `patches` of `patch_values` numbers each; `tokens` come out
    of the projector, which reads `shuffled` features a token.
    """

    layers: int
    width: int
    intermediate: int
    positions: int
    patches: int
    patch_values: int
    tokens: int
    shuffled: int
    pixels: int


@dataclass(frozen=True)
class DecoderGeometry:
    """A decoder with grouped keys and a gated MLP (Qwen2, Qwen3, Llama, InternLM)."""

    layers: int
    width: int
    heads: int
    key_heads: int
    head_width: int
    intermediate: int
    vocabulary: int

    @property
    def query_width(self) -> int:
        return self.heads * self.head_width

    @property
    def key_width(self) -> int:
        return self.key_heads * self.head_width


@dataclass(frozen=True)
class Geometry:
    """A video model as the formulas here see it."""

    vision: VisionGeometry
    decoder: DecoderGeometry


def geometry_of(config: Any) -> Geometry:
    """Read a transformers config. Raises `ValueError` for a family whose vision tower has no formula here."""
    if config.model_type != "internvl":
        raise ValueError(
            f"no cost formula for the vision tower of {config.model_type!r} checkpoints: there is 'internvl'"
        )
    return Geometry(_internvl_vision(config), decoder_of(config.get_text_config()))


def decoder_of(text: Any) -> DecoderGeometry:
    """The decoder's geometry from a text config."""
    return DecoderGeometry(
        layers=text.num_hidden_layers,
        width=text.hidden_size,
        heads=text.num_attention_heads,
        key_heads=text.num_key_value_heads,
        head_width=getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads,
        intermediate=text.intermediate_size,
        vocabulary=text.vocab_size,
    )


def _internvl_vision(config: Any) -> VisionGeometry:
    vision, ratio = config.vision_config, config.downsample_ratio
    (height, width), (patch_height, patch_width) = vision.image_size, vision.patch_size
    patches = (height // patch_height) * (width // patch_width)
    return VisionGeometry(
        layers=vision.num_hidden_layers,
        width=vision.hidden_size,
        intermediate=vision.intermediate_size,
        positions=patches + 1,
        patches=patches,
        patch_values=vision.num_channels * patch_height * patch_width,
        tokens=int(height // patch_height * ratio) * int(width // patch_width * ratio),
        shuffled=vision.hidden_size * int(1 / ratio) ** 2,
        pixels=vision.num_channels * height * width,
    )


PARTS = ("vision", "projector", "embeddings", "layers", "head")


def parameters_by_part(config: Any) -> dict[str, int]:
    """Parameters of the native class of `config`, by the names in `PARTS`; `layers` holds the final norm too.

    A head that shares the embeddings' weights counts 0. Raises `ValueError` for a config that is no image-text model's.
    """
    counts = dict.fromkeys(PARTS, 0)
    for name, parameter in meta_model(config).named_parameters():
        counts[_part(name)] += parameter.numel()
    return counts


def meta_model(config: Any) -> nn.Module:
    """The native class on the meta device: modules and shapes, no memory."""
    from transformers import AutoModelForImageTextToText

    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config)
    model.tie_weights()  # building on the meta device leaves shared weights apart
    return model.eval()


def _part(name: str) -> str:
    if "lm_head" in name:
        return "head"
    if "language_model" in name:
        return "embeddings" if "embed_tokens" in name else "layers"
    return "projector" if "projector" in name or "merger" in name or "newline" in name else "vision"
