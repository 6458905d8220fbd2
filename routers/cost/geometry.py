"""The shapes that cost depends on, as the formulas see them; `videorouter.routers.cost.families` reads them from configs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Linears:
    """Two linear layers in a row, `taken` numbers to `inner` to `given`, over `tokens` tokens a frame."""

    tokens: int
    taken: int
    inner: int
    given: int


@dataclass(frozen=True)
class VisionGeometry:
    """A vision transformer and its projectors, one frame at a time; a frame is a patch of `frames_per_patch` where they merge.

    `positions` its layers see (patches and class token), `pairs` of them attend to each other in all layers together, and
    `patches` of `patch_values` numbers each go in; `tokens` on `grid` come out, `channels` numbers each. The MLP has `matrices`
    matrices: 2, or 3 where it is gated. `rotary` attention turns queries and keys in float32. The class keeps `states_held`
    further hidden states until it has chosen those it projects. `size` is (height, width) of a frame in pixels.
    """

    layers: int
    width: int
    intermediate: int
    matrices: int
    positions: int
    pairs: int
    patches: int
    patch_values: int
    pixels: int
    size: tuple[int, int]
    projectors: tuple[Linears, ...]
    grid: tuple[int, int]
    channels: int
    frames_per_patch: int = 1
    rotary: bool = False
    states_held: int = 0

    @property
    def tokens(self) -> int:
        """Visual tokens of a frame."""
        return self.grid[0] * self.grid[1]


@dataclass(frozen=True)
class Experts:
    """`active` of `count` gated MLPs of `intermediate` see a token, in each of the `layers` (numbers from 0)."""

    count: int
    active: int
    intermediate: int
    layers: frozenset[int]


@dataclass(frozen=True)
class DecoderGeometry:
    """A decoder with grouped keys and gated MLPs (Qwen2, Qwen3, Llama) or mixtures of them (Qwen3-MoE, GPT-OSS).

    `windows` says of each layer to how many tokens, itself included, a token attends; None is all before it. Attention is `fused`
    where transformers has a kernel for it that holds no square of scores (SDPA).
    """

    layers: int
    width: int
    heads: int
    key_heads: int
    head_width: int
    intermediate: int
    vocabulary: int
    windows: Sequence[int | None] = ()
    experts: Experts | None = None
    fused: bool = True

    @property
    def query_width(self) -> int:
        return self.heads * self.head_width

    @property
    def key_width(self) -> int:
        return self.key_heads * self.head_width

    def window(self, layer: int) -> int | None:
        """Of `layer`, counted from 0."""
        return self.windows[layer] if layer < len(self.windows) else None

    def experts_of(self, layer: int) -> Experts | None:
        """Those of `layer`, None where it has one MLP for all tokens."""
        return self.experts if self.experts is not None and layer in self.experts.layers else None


PositionRule = Literal["tokens", "time", "frames"]


@dataclass(frozen=True)
class Geometry:
    """A video model as the formulas here see it.

    `label_tokens` of text stand around a frame, `video_tokens` around all of them. `positions` is how they count: every token;
    time, `per_second` of them (M-RoPE of Qwen2.5-VL); or every frame by its longer side (Qwen3-VL).
    """

    vision: VisionGeometry
    decoder: DecoderGeometry
    label_tokens: int
    video_tokens: int = 0
    positions: PositionRule = "tokens"
    per_second: float = 0.0
