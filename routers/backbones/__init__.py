"""Backbones: one file a family, chosen from the checkpoint's config."""

import torch

from routers.backbones.base import Backbone, FrameSpan, Generated

__all__ = ["Backbone", "FrameSpan", "Generated", "load_backbone"]


def load_backbone(path: str, *, device: str = "cpu", dtype: torch.dtype | str | None = None) -> Backbone:
    """Load the checkpoint folder (or Hub id) `path` behind its family's `Backbone`; without `dtype` float32 on a CPU.

    Raises `ValueError` for a family that is not supported or InternVL weights in the authors' remote-code format.
    """
    from transformers import AutoConfig

    from routers.backbones.internvl import InternVLBackbone

    family = AutoConfig.from_pretrained(path, trust_remote_code=False).model_type
    if family == "internvl":
        return InternVLBackbone(path, device=device, dtype=dtype)
    raise ValueError(
        f"{path} is a {family!r} checkpoint: supported is 'internvl' in transformers' format (repositories ending in -hf)"
    )
