"""Parameters by part, exact and without a weight: the native class is made on the meta device and counted."""

from typing import Any

import torch
from torch import nn

PARTS = ("vision", "projector", "embeddings", "layers", "head")


def parameters_by_part(config: Any) -> dict[str, int]:
    """Parameters of the native class of `config`, by the names in `PARTS`; `layers` holds the final norm too.

    A head that shares the embeddings' weights counts 0; experts count all, whether a token meets them or not. Raises `ValueError`
    for a config that is no image-text model's.
    """
    counts = dict.fromkeys(PARTS, 0)
    for name, parameter in meta_model(config).named_parameters():
        counts[part_of(name)] += parameter.numel()
    return counts


def meta_model(config: Any) -> nn.Module:
    """The native class on the meta device: modules and shapes, no memory."""
    from transformers import AutoModelForImageTextToText

    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config)
    model.tie_weights()  # building on the meta device leaves shared weights apart
    return model.eval()


def part_of(name: str) -> str:
    """The part, one of `PARTS`, to which the parameter `name` of a native class belongs."""
    if "lm_head" in name:
        return "head"
    if "language_model" in name:
        return "embeddings" if "embed_tokens" in name else "layers"
    return "projector" if "projector" in name or "merger" in name or "newline" in name else "vision"
