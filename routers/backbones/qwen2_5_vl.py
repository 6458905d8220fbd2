"""Qwen2.5-VL: one block of video tokens, absolute time on the temporal axis of M-RoPE; 16x16 tokens at 448 pixels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import Qwen2_5_VLForConditionalGeneration

from routers.backbones.mrope import MRopeBackbone
from routers.backbones.pixels import CLIP


class Qwen25VLBackbone(MRopeBackbone):
    """`<|vision_start|>`, the tokens of all patches, `<|vision_end|>`, then the text.

    Without `seconds` a patch lasts one second, which is the class's own default.
    """

    model_class = Qwen2_5_VLForConditionalGeneration
    normalisation = CLIP

    def _encode(self, frames: np.ndarray, side: int) -> Tensor:
        pixels, grid = self._patches(frames)
        tokens = self.model.get_video_features(pixels, video_grid_thw=grid).pooler_output[0]
        return tokens.unflatten(0, (-1, self.tokens_per_frame))

    def _pieces(self, frames: Sequence[int], text: str, seconds: Sequence[float] | None) -> list[tuple[int, str]]:
        tokens = [(frame, self.video_token) for frame in frames]
        return [(-1, "<|vision_start|>"), *tokens, (-1, "<|vision_end|>" + text)]

    def _position_options(self, frames: int, seconds: Sequence[float] | None) -> dict[str, Any]:
        if seconds is None or frames < 2:
            return {}
        # The class knows evenly spaced patches alone.
        return {"second_per_grid_ts": torch.tensor([(seconds[-1] - seconds[0]) / (frames - 1)])}
