"""Qwen2.5-VL: one block of video tokens, absolute time on the temporal axis of M-RoPE; a token is 28x28 pixels."""

from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import Qwen2_5_VLForConditionalGeneration

from videorouter.routers.backbones.layout import NO_FRAME
from videorouter.routers.backbones.pixels import CLIP
from videorouter.routers.backbones.protocol import Grid
from videorouter.routers.backbones.qwen_vl import MRopeBackbone


class Qwen25VLBackbone(MRopeBackbone):
    """`<|vision_start|>`, the tokens of all patches, `<|vision_end|>`, then the text.

    Without `seconds` a patch lasts one second, which is the class's own default. What is written between patches ends one such
    block and begins another: a video of its own to the class, whose time counts from its own first patch.
    """

    model_class = Qwen2_5_VLForConditionalGeneration
    normalisation = CLIP

    def _encode(self, frames: np.ndarray, grid: Grid) -> Tensor:
        pixels, patches = self._patches(frames, grid)
        tokens = self.model.get_video_features(pixels, video_grid_thw=patches).pooler_output[0]
        return tokens.unflatten(0, (-1, grid[0] * grid[1]))

    def _pieces(
        self,
        frames: Sequence[int],
        written: Sequence[str],
        seconds: Sequence[float] | None,
        kept: Collection[int],
    ) -> list[tuple[int, str]]:
        starts = [place for place, before in enumerate(written[:-1]) if before or place == 0]
        pieces: list[tuple[int, str]] = []
        for start, end in pairwise([*starts, len(frames)]):
            run = frames[start:end]
            # The marks of a run stay with any frame of it that is kept, and leave with the last.
            owner = next((frame for frame in run if frame in kept), run[0])
            tokens = [(frame, self.video_token) for frame in run]
            pieces += [(NO_FRAME, written[start]), (owner, "<|vision_start|>"), *tokens, (owner, "<|vision_end|>")]
        return [*pieces, (NO_FRAME, written[-1])]

    def _position_options(self, frames: int, seconds: Sequence[float] | None, runs: int) -> dict[str, Any]:
        if seconds is None or frames < 2:
            return {}
        # The class knows evenly spaced patches alone.
        return {"second_per_grid_ts": torch.full((runs,), (seconds[-1] - seconds[0]) / (frames - 1))}
