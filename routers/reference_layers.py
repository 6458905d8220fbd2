"""The decoder layer whose attention tells which visual tokens a question needs, model by model (0-based)."""

from typing import Final

from videorouter.routers.backbones.base import Backbone

PUBLISHED: Final = {"qwen2.5-vl-7b": 20, "internvl2.5-8b": 15, "llava-video-7b": 19}
"""By what the name of a checkpoint holds, `_` read as `.` (AdaptToken, arXiv 2603.28696)."""
DEPTH: Final = 0.55
"""Of the layers, for every other model (ours; the published are 0.47 to 0.71). `videorouter routers probe-layer` measures it."""


def reference_layer(backbone: Backbone) -> int:
    """The published layer of a published model; else the one at `DEPTH` of the model's depth (ours)."""
    name = backbone.path.lower().replace("_", ".")
    for model, layer in PUBLISHED.items():
        if model in name and layer < backbone.layers:
            return layer
    return min(backbone.layers - 1, round(backbone.layers * DEPTH))


def checked_layer(layer: int | None, backbone: Backbone) -> int:
    """`layer`, or the model's reference layer where it is None. Raises `ValueError` for one that the model lacks."""
    if layer is None:
        return reference_layer(backbone)
    if not 0 <= layer < backbone.layers:
        raise ValueError(f"layer {layer} is outside 0..{backbone.layers - 1}, the decoder layers of {backbone.path}")
    return layer
