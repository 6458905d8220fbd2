"""Geometries read from transformers configs, family by family: towers, projectors, decoders, and the text around frames."""

from collections.abc import Callable, Sequence
from typing import Any

from videorouter.routers.backbones.frame_shape import USUAL_SQUARE
from videorouter.routers.cost.geometry import DecoderGeometry, Experts, Geometry, Linears, VisionGeometry

FrameSize = int | tuple[int, int]
"""Pixels of a frame as the tower takes it: the side of a square, or (height, width)."""


def geometry_of(config: Any, size: FrameSize | None = None, newlines: str | None = None) -> Geometry:
    """Read a transformers config, for frames of `size`; None is the config's, or for Qwen-VL the usual square.

    `newlines`, "video" or "grid", is LLaVA's layout; None is the config's. Raises `ValueError` for a family or a mixture of experts
    without formulas, and for frames that the tower cannot encode.
    """
    family = FAMILIES.get(config.model_type)
    if family is None:
        names = ", ".join(repr(name) for name in FAMILIES)
        raise ValueError(
            f"no cost formula for the vision tower of {config.model_type!r} checkpoints: there are {names}"
        )
    sides = (size, size) if isinstance(size, int) else size
    return family(config, sides) if newlines is None else _llava_onevision(config, sides, newlines)


def decoder_of(text: Any) -> DecoderGeometry:
    """The decoder's geometry from a text config. Raises `ValueError` for a mixture of experts that is not known."""
    layers = text.num_hidden_layers
    kinds = getattr(text, "layer_types", None) or ["full_attention"] * layers
    window = getattr(text, "sliding_window", None)
    return DecoderGeometry(
        layers=layers,
        width=text.hidden_size,
        heads=text.num_attention_heads,
        key_heads=text.num_key_value_heads,
        head_width=getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads,
        intermediate=text.intermediate_size,
        vocabulary=text.vocab_size,
        windows=tuple(window if kind == "sliding_attention" else None for kind in kinds),
        experts=_experts(text),
        fused=text.model_type != "gpt_oss",  # its attention has sinks, for which SDPA has no place
    )


def _experts(text: Any) -> Experts | None:
    layers = range(text.num_hidden_layers)
    match text.model_type:
        case "qwen3_moe":
            plain, step = set(text.mlp_only_layers or []), text.decoder_sparse_step
            sparse = frozenset(layer for layer in layers if layer not in plain and (layer + 1) % step == 0)
            return Experts(text.num_experts, text.num_experts_per_tok, text.moe_intermediate_size, sparse)
        case "gpt_oss":
            active, inner = text.num_experts_per_tok, text.intermediate_size
            return Experts(text.num_local_experts, active, inner, frozenset(layers))
    if getattr(text, "num_experts_per_tok", None):
        raise ValueError(
            f"no cost formula for the experts of {text.model_type!r} decoders: there are 'qwen3_moe', 'gpt_oss'"
        )
    return None


def _internvl(config: Any, size: tuple[int, int] | None) -> Geometry:
    vision, shuffle, decoder = config.vision_config, round(1 / config.downsample_ratio), decoder_of(config.text_config)
    patch_height, patch_width = vision.patch_size
    height, width = size or vision.image_size
    rows, columns = _grid(config, (height, width), (patch_height * shuffle, patch_width * shuffle))
    patches, tokens = rows * columns * shuffle**2, rows * columns
    shape = VisionGeometry(
        layers=vision.num_hidden_layers,
        width=vision.hidden_size,
        intermediate=vision.intermediate_size,
        matrices=2,
        positions=patches + 1,
        pairs=vision.num_hidden_layers * (patches + 1) ** 2,
        patches=patches,
        patch_values=vision.num_channels * patch_height * patch_width,
        pixels=vision.num_channels * height * width,
        size=(height, width),
        projectors=(Linears(tokens, vision.hidden_size * shuffle**2, decoder.width, decoder.width),),
        grid=(rows, columns),
        channels=decoder.width,
    )
    return Geometry(shape, decoder, label_tokens=9)


def _llava_onevision(config: Any, size: tuple[int, int] | None, newlines: str | None = None) -> Geometry:
    """Every patch is projected; then they are pooled to half the side, up for the layout "video", down for "grid"."""
    vision, decoder = config.vision_config, decoder_of(config.text_config)
    if size not in (None, (vision.image_size, vision.image_size)):
        raise ValueError(
            f"frames of {_shown(size)} pixels: {config.model_type!r} encodes frames of {vision.image_size} alone"
        )
    side, chosen = vision.image_size // vision.patch_size, config.vision_feature_layer
    newlines = newlines or ("grid" if getattr(config, "mm_newline_position", None) == "grid" else "video")
    pooled = side // 2 if newlines == "grid" else -(-side // 2)
    levels = 1 if isinstance(chosen, int) else len(chosen)
    shape = VisionGeometry(
        layers=vision.num_hidden_layers,
        width=vision.hidden_size,
        intermediate=vision.intermediate_size,
        matrices=2,
        positions=side**2,
        pairs=vision.num_hidden_layers * side**4,
        patches=side**2,
        patch_values=vision.num_channels * vision.patch_size**2,
        pixels=vision.num_channels * vision.image_size**2,
        size=(vision.image_size, vision.image_size),
        projectors=(Linears(side**2, vision.hidden_size * levels, decoder.width, decoder.width),),
        grid=(pooled, pooled),
        channels=decoder.width,
        # the class keeps what it projects, our layout "grid" asks for all; two of them are the tower's and a layer's input
        states_held=max(1, vision.num_hidden_layers - 2) if newlines == "grid" else 1,
    )
    return Geometry(shape, decoder, label_tokens=pooled if newlines == "grid" else 0, video_tokens=newlines == "video")


def _qwen2_5_vl(config: Any, size: tuple[int, int] | None) -> Geometry:
    vision, decoder, merge = (
        config.vision_config,
        decoder_of(config.text_config),
        config.vision_config.spatial_merge_size,
    )
    grid = _qwen_grid(config, size)
    side = vision.window_size // merge // vision.patch_size
    whole = len(set(vision.fullatt_block_indexes) & set(range(vision.depth)))
    within = _squares(grid[0], side) * _squares(grid[1], side) * merge**4
    positions = grid[0] * grid[1] * merge**2
    shape = _qwen_vision(
        vision,
        grid,
        decoder.width,
        matrices=3,
        pairs=whole * positions**2 + (vision.depth - whole) * within,
        channels_in=vision.in_channels,
    )
    return Geometry(
        shape, decoder, label_tokens=0, video_tokens=2, positions="time", per_second=vision.tokens_per_second
    )


def _qwen3_vl(config: Any, size: tuple[int, int] | None) -> Geometry:
    """Every deepstack level has a merger of its own, and its features travel with the token."""
    vision, decoder = config.vision_config, decoder_of(config.text_config)
    grid = _qwen_grid(config, size)
    positions = grid[0] * grid[1] * vision.spatial_merge_size**2
    shape = _qwen_vision(
        vision,
        grid,
        decoder.width,
        matrices=2,
        pairs=vision.depth * positions**2,
        channels_in=vision.in_channels,
        levels=len(vision.deepstack_visual_indexes),
    )
    return Geometry(shape, decoder, label_tokens=9, positions="frames")


def _qwen_vision(
    vision: Any, grid: tuple[int, int], width: int, *, matrices: int, pairs: int, channels_in: int, levels: int = 0
) -> VisionGeometry:
    rows, columns = grid
    tokens, merged = rows * columns, vision.spatial_merge_size**2
    cell = vision.patch_size * vision.spatial_merge_size
    values = channels_in * vision.temporal_patch_size * vision.patch_size**2
    merger = Linears(tokens, vision.hidden_size * merged, vision.hidden_size * merged, vision.out_hidden_size)
    return VisionGeometry(
        layers=vision.depth,
        width=vision.hidden_size,
        intermediate=vision.intermediate_size,
        matrices=matrices,
        positions=tokens * merged,
        pairs=pairs,
        patches=tokens * merged,
        patch_values=values,
        pixels=tokens * merged * values,
        size=(rows * cell, columns * cell),
        projectors=(merger,) * (1 + levels),
        grid=grid,
        channels=width * (1 + levels),
        frames_per_patch=vision.temporal_patch_size,
        rotary=True,
    )


def _qwen_grid(config: Any, size: tuple[int, int] | None) -> tuple[int, int]:
    cell = config.vision_config.patch_size * config.vision_config.spatial_merge_size
    return _grid(config, size or (USUAL_SQUARE, USUAL_SQUARE), (cell, cell))


def _grid(config: Any, size: Sequence[int], cell: tuple[int, int]) -> tuple[int, int]:
    """Whole cells that frames of `size` pixels have. Raises `ValueError` where there is none, or pixels are left over."""
    (height, width), (cell_height, cell_width) = size, cell
    if min(height // cell_height, width // cell_width) < 1 or height % cell_height or width % cell_width:
        raise ValueError(
            f"frames of {_shown((height, width))} pixels: this {config.model_type!r} model needs multiples of "
            f"{_shown(cell)}"
        )
    return height // cell_height, width // cell_width


def _squares(length: int, window: int) -> int:
    """Sum of the squares of the parts into which windows of `window` cut `length`."""
    return length // window * window**2 + (length % window) ** 2


def _shown(size: Any) -> str:
    return str(size[0]) if size[0] == size[1] else f"{size[0]}x{size[1]}"


FAMILIES: dict[str, Callable[[Any, tuple[int, int] | None], Geometry]] = {
    "internvl": _internvl,
    "qwen2_5_vl": _qwen2_5_vl,
    "qwen3_vl": _qwen3_vl,
    "llava_onevision": _llava_onevision,
}
