"""Backbones: one file a family, chosen from the checkpoint's config."""

from typing import Any

import torch

from videorouter.routers.backbones.base import Backbone, FrameSpan, Generated, Inspected, Kept, PositionPolicy
from videorouter.routers.backbones.prompt import Prompt
from videorouter.routers.backbones.shared_prefix import SharedPrefix
from videorouter.routers.backbones.temporal import merged_any, merged_seconds

__all__ = [
    "FAMILIES",
    "Backbone",
    "FrameSpan",
    "Generated",
    "Inspected",
    "Kept",
    "PositionPolicy",
    "Prompt",
    "SharedPrefix",
    "load_backbone",
    "merged_any",
    "merged_seconds",
]

FAMILIES = ("internvl", "qwen2_5_vl", "qwen3_vl", "llava_onevision")
"""`model_type` of the checkpoints that can be loaded."""


def load_backbone(
    path: str,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | str | None = None,
    device_map: str | dict[str, Any] | None = None,
    attn_implementation: str | None = None,
    early_layers: int | None = None,
    revision: str | None = None,
    frame_size: int | None = None,
    newlines: str | None = None,
) -> Backbone:
    """Load the checkpoint folder (or Hub id) `path` behind its family's `Backbone`.

    `frame_size` is the side, in pixels, of the square to which Qwen-VL frames are squeezed (448); `newlines` the layout of
    LLaVA-OneVision ("video") or LLaVA-Video ("grid"); the rest is `videorouter.routers.backbones.native.Loading`.
    Raises `ValueError` for a family that is not supported, weights in the authors' remote-code format, or an option that
    the family does not have.
    """
    from transformers import AutoConfig

    from videorouter.routers.backbones.native import Loading

    loading: Loading = {
        "device": device,
        "dtype": dtype,
        "device_map": device_map,
        "attn_implementation": attn_implementation,
        "early_layers": early_layers,
        "revision": revision,
    }
    family = AutoConfig.from_pretrained(path, revision=revision, trust_remote_code=False).model_type
    asked = {"frame_size": frame_size, "newlines": newlines}
    options: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    own = {"qwen2_5_vl": "frame_size", "qwen3_vl": "frame_size", "llava_onevision": "newlines"}
    if family in FAMILIES and (foreign := options.keys() - {own.get(family)}):
        raise ValueError(f"{path} is a {family!r} checkpoint, which has no option {', '.join(sorted(foreign))}")
    match family:
        case "internvl":
            from videorouter.routers.backbones.internvl import InternVLBackbone

            return InternVLBackbone(path, **loading)
        case "qwen2_5_vl":
            from videorouter.routers.backbones.qwen2_5_vl import Qwen25VLBackbone

            return Qwen25VLBackbone(path, **options, **loading)
        case "qwen3_vl":
            from videorouter.routers.backbones.qwen3_vl import Qwen3VLBackbone

            return Qwen3VLBackbone(path, **options, **loading)
        case "llava_onevision":
            from videorouter.routers.backbones.llava_onevision import LlavaOneVisionBackbone

            return LlavaOneVisionBackbone(path, **options, **loading)
    raise ValueError(
        f"{path} is a {family!r} checkpoint: supported are {', '.join(FAMILIES)} in transformers' format "
        "(InternVL: repositories ending in -hf)"
    )
