"""The numbers of a checkpoint's config that cost depends on, and nothing else of it."""

from dataclasses import dataclass
from typing import Any


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
    """A video model as the formulas of this room see it."""

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
