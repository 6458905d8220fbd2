"""The pictures' cost at an upstream by name, or read from the checkpoint that it serves."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Unpack

from videorouter.json_files import read_object
from videorouter.routers.backbones.loading_options import HubSource
from videorouter.routers.backbones.weight_files import checkpoint_file
from videorouter.routers.cost.picture_cost import PictureCost
from videorouter.routers.cost.picture_families import InternVLPictures, LlavaOnevisionPictures, QwenPictures
from videorouter.routers.cost.picture_vendors import (
    ClaudePictures,
    FixedPictures,
    GeminiTiles,
    OpenAIPatches,
    OpenAITiles,
)

_TILE_MODELS: Final = {
    "gpt-5": (70, 140), "gpt-4o": (85, 170), "gpt-4.1": (85, 170), "gpt-4o-mini": (2833, 5667), "o1": (75, 150), "o3": (75, 150),
}  # fmt: skip
"""(base tokens, tokens a tile)."""
PICTURE_COSTS: Final[Mapping[str, PictureCost]] = {
    "internvl": InternVLPictures(),
    "qwen2_5_vl": QwenPictures(),
    "qwen3_vl": QwenPictures(32, 65_536, 16_777_216),
    "llava_onevision": LlavaOnevisionPictures(),
    **{name: OpenAITiles(base, tile) for name, (base, tile) in _TILE_MODELS.items()},
    **{f"{name}-low": FixedPictures(base, 512, "low") for name, (base, _) in _TILE_MODELS.items()},
    "gpt-5-mini": OpenAIPatches(162),
    "gpt-5-nano": OpenAIPatches(246),
    "gpt-4.1-mini": OpenAIPatches(162),
    "gpt-4.1-nano": OpenAIPatches(246),
    "o4-mini": OpenAIPatches(172),
    "claude": ClaudePictures(1568, 1568),
    "claude-4.7": ClaudePictures(4784, 2576),
    "gemini-2.5": GeminiTiles(),
    "gemini-3": FixedPictures(1120),
}
"""Families as they are published, and vendors' models; `-low` is `"detail": "low"`, `claude-4.7` also what came after it."""


def picture_cost(name: str) -> PictureCost:
    """What a picture costs at the upstream of that name, one of `PICTURE_COSTS`. Raises `ValueError` that lists them."""
    if name not in PICTURE_COSTS:
        raise ValueError(
            f"unknown picture cost {name!r}: there are {', '.join(PICTURE_COSTS)}, and checkpoints, by folder or as OWNER/NAME"
        )
    return PICTURE_COSTS[name]


def could_be_checkpoint(name: str) -> bool:
    """Whether `name` is none of `PICTURE_COSTS`, and a folder here or written as a Hub id, `owner/name`: nobody is asked."""
    return name not in PICTURE_COSTS and ("/" in name or Path(name).is_dir())


def picture_cost_of(path: str, **access: Unpack[HubSource]) -> PictureCost:
    """What a picture costs in the checkpoint folder or Hub id `path`, by its config and its image processor's settings.

    These are sought where transformers seeks them: `processor_config.json`, then `preprocessor_config.json`; a checkpoint without
    them costs what its family's published ones cost. A checkpoint in InternVL's own format, which vLLM serves, is read too.
    Raises `ValueError` for a checkpoint without a config, or of another family.
    """
    file = checkpoint_file(path, "config.json", **access)
    if file is None:
        raise ValueError(f"{path} holds no config.json: name a checkpoint, or one of {', '.join(PICTURE_COSTS)}")
    config = read_object(file)
    processor, images = _processor_settings(path, access)
    match config.get("model_type"):
        case "internvl":
            return _internvl(config, processor, images)
        case "internvl_chat":
            return _internvl_chat(config)
        case "qwen2_vl" | "qwen2_5_vl":
            return _qwen(config, images, QwenPictures())
        case "qwen3_vl" | "qwen3_vl_moe":
            return _qwen(config, images, QwenPictures(32, 65_536, 16_777_216))
        case "llava_onevision":
            return _llava_onevision(config, processor, images)
    raise ValueError(
        f"{path} is a {config.get('model_type')!r} checkpoint, whose pictures' cost is not known: it is for internvl, "
        "qwen2_vl, qwen2_5_vl, qwen3_vl, llava_onevision"
    )


def _processor_settings(path: str, access: HubSource) -> tuple[dict[str, Any], dict[str, Any]]:
    """What `processor_config.json` says of the processor, and what one of the two files says of images."""
    read = {}
    for name in ("processor_config.json", "preprocessor_config.json"):
        file = checkpoint_file(path, name, **access)
        read[name] = {} if file is None else read_object(file)
    processor = read["processor_config.json"]
    return processor, processor.get("image_processor") or read["preprocessor_config.json"]


def _internvl(config: dict[str, Any], processor: dict[str, Any], images: dict[str, Any]) -> PictureCost:
    side = (images.get("size") or {}).get("height") or _first(config["vision_config"].get("image_size", 448))
    each = processor.get("image_seq_length") or config.get("image_seq_length") or 256
    return InternVLPictures(side, each, images.get("min_patches", 1), images.get("max_patches", 12))


def _internvl_chat(config: dict[str, Any]) -> PictureCost:
    vision = config["vision_config"]
    side = config.get("force_image_size") or vision.get("image_size", 448)
    each = int((side // vision.get("patch_size", 14)) ** 2 * config.get("downsample_ratio", 0.5) ** 2)
    several = config.get("dynamic_image_size", True)
    least, most = (config.get("min_dynamic_patch", 1), config.get("max_dynamic_patch", 12)) if several else (1, 1)
    return InternVLPictures(side, each, least, most, config.get("use_thumbnail", True))


def _qwen(config: dict[str, Any], images: dict[str, Any], published: QwenPictures) -> PictureCost:
    vision, size = config.get("vision_config") or {}, images.get("size") or {}
    patch = images.get("patch_size") or vision.get("patch_size") or 14
    merge = images.get("merge_size") or vision.get("spatial_merge_size") or 2
    least = images.get("min_pixels") or size.get("shortest_edge") or size.get("min_pixels") or published.min_pixels
    most = images.get("max_pixels") or size.get("longest_edge") or size.get("max_pixels") or published.max_pixels
    return QwenPictures(int(patch * merge), int(least), int(most))


def _llava_onevision(config: dict[str, Any], processor: dict[str, Any], images: dict[str, Any]) -> PictureCost:
    vision, usual = config["vision_config"], LlavaOnevisionPictures()
    size = images.get("size") or {}
    side = size.get("height") or size.get("shortest_edge") or vision.get("image_size") or usual.side
    each = processor.get("num_image_tokens") or (side // (vision.get("patch_size") or 14)) ** 2
    pinpoints = images.get("image_grid_pinpoints") or config.get("image_grid_pinpoints") or usual.pinpoints
    aspect = processor.get("vision_aspect_ratio") or config.get("vision_aspect_ratio") or "anyres_max_9"
    strategy = processor.get("vision_feature_select_strategy") or config.get("vision_feature_select_strategy")
    return LlavaOnevisionPictures(
        tuple((int(height), int(width)) for height, width in pinpoints),
        int(side),
        int(each**0.5),
        int(aspect.removeprefix("anyres_max_")),
        1 if strategy == "default" else 0,
    )


def _first(side: Any) -> int:
    return int(side[0] if isinstance(side, list) else side)
