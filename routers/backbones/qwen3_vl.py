"""Qwen3-VL: every patch announced by its time in words; features of early vision layers added in early decoder layers."""

from collections.abc import Collection, Sequence
from typing import Any, Unpack

import numpy as np
import torch
from torch import Tensor
from transformers import Qwen3VLForConditionalGeneration

from videorouter.routers.backbones.frame_shape import FrameShape
from videorouter.routers.backbones.layout import NO_FRAME
from videorouter.routers.backbones.loading_options import Loading
from videorouter.routers.backbones.own_aspect import TOKENS_A_FRAME
from videorouter.routers.backbones.pixels import HALF
from videorouter.routers.backbones.protocol import Grid
from videorouter.routers.backbones.qwen_vl import MRopeBackbone


class Qwen3VLBackbone(MRopeBackbone):
    """`<2.0 seconds><|vision_start|>`, a patch's tokens, `<|vision_end|>` for each patch, then the text.

    Deepstack features travel in the further channels of a token: whatever is done to a token is done to them. Without
    `seconds` a patch lasts one second (ours). A patch that is left out leaves with the words that announce it; what is written
    between patches stands before those words.
    """

    model_class = Qwen3VLForConditionalGeneration
    normalisation = HALF

    pixels_of_video = True
    usual_pixels = (4096, 25_165_824)
    video_tokens = TOKENS_A_FRAME

    def __init__(self, path: str, *, shape: FrameShape | None = None, **loading: Unpack[Loading]) -> None:
        super().__init__(path, shape=shape, **loading)
        self.channels = self.hidden_size * (1 + len(self.model.config.vision_config.deepstack_visual_indexes))

    def _encode(self, frames: np.ndarray, grid: Grid) -> Tensor:
        pixels, patches = self._patches(frames, grid)
        features = self.model.get_video_features(pixels, video_grid_thw=patches)
        levels = [features.pooler_output[0], *(level[0] for level in features.deepstack_features)]
        return torch.cat(levels, dim=-1).unflatten(0, (-1, grid[0] * grid[1]))

    def _pieces(
        self,
        frames: Sequence[int],
        written: Sequence[str],
        seconds: Sequence[float] | None,
        kept: Collection[int],
    ) -> list[tuple[int, str]]:
        pieces: list[tuple[int, str]] = []
        for frame, before in zip(frames, written[:-1], strict=True):
            second = frame + 0.5 if seconds is None else seconds[frame]
            announced = f"<{second:.1f} seconds><|vision_start|>{self.video_token}<|vision_end|>"
            pieces += [(NO_FRAME, before), (frame, announced)]
        return [*pieces, (NO_FRAME, written[-1])]

    def _position_options(self, frames: int, seconds: Sequence[float] | None, runs: int) -> dict[str, Any]:
        return {}
