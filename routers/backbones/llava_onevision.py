"""LLaVA-OneVision, and the layout of LLaVA-Video as a variant: SigLIP frames of 384 pixels, Qwen2 as language model."""

from collections.abc import Sequence
from typing import Any, Literal, Unpack

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import LlavaOnevisionForConditionalGeneration

from videorouter.routers.backbones.layout import ALONE, NO_FRAME, Dialogue, lay_out, texts_around
from videorouter.routers.backbones.loading_options import Loading
from videorouter.routers.backbones.native import NativeBackbone
from videorouter.routers.backbones.offloaded import parameter_value
from videorouter.routers.backbones.pixels import HALF
from videorouter.routers.backbones.prompt import Prompt
from videorouter.routers.backbones.protocol import FrameSpan, Grid, Kept

Newlines = Literal["video", "grid"]


class LlavaOneVisionBackbone(NativeBackbone):
    """`video` (LLaVA-OneVision): 14x14 tokens a frame, one newline token after the whole video.

    `grid` (LLaVA-Video): 13x13 tokens a frame, a newline after every row. A frame that lost tokens keeps all 13 newlines,
    behind what is kept of it (VidCom2). Newlines are text: no budget counts them. Positions are contiguous.
    What is written between frames begins a line, as the question does; the video's newline token stays behind its last frame.
    """

    model_class = LlavaOnevisionForConditionalGeneration
    normalisation = HALF

    def __init__(self, path: str, *, newlines: Newlines | None = None, **loading: Unpack[Loading]) -> None:
        """`newlines` is read from the config's `mm_newline_position` where null, and is `video` where that says nothing.

        Raises `ValueError` for another layout.
        """
        if newlines not in (None, "video", "grid"):
            raise ValueError(f"newlines {newlines!r}: there are 'video' (LLaVA-OneVision) and 'grid' (LLaVA-Video)")
        super().__init__(path, **loading)
        config: Any = self.model.config
        told = "grid" if getattr(config, "mm_newline_position", None) == "grid" else "video"
        self.newlines: str = newlines or told
        self.frame_size = config.vision_config.image_size
        self._patch_side = config.vision_config.image_size // config.vision_config.patch_size
        side = self._patch_side // 2 if self.newlines == "grid" else -(-self._patch_side // 2)
        self.grid = (side, side)
        self.video_token_id: int = config.video_token_id
        self.video_token = str(self.tokenizer.convert_ids_to_tokens(self.video_token_id))

    def _encode(self, frames: np.ndarray, grid: Grid) -> Tensor:
        projected = self._projected(self._pixels(frames, grid))
        if self.newlines == "video":
            pooled: Tensor = self.model.model.apply_pooling(projected)
            return pooled
        patches = projected.transpose(1, 2).unflatten(2, (self._patch_side, self._patch_side))
        return functional.avg_pool2d(patches, 2).flatten(2).transpose(1, 2)

    @torch.no_grad()
    def embed_prompt(
        self,
        kept: Kept,
        text: str,
        seconds: Sequence[float] | None = None,
        between: Sequence[str] | None = None,
        dialogue: Dialogue = ALONE,
    ) -> Prompt:
        self._check_contiguous(kept)
        spans = kept.spans
        rows = [self._newline_places(span) for span in spans]
        if self.newlines == "video":
            rows[-1] = torch.cat([rows[-1], torch.tensor([True])])
        written = texts_around(between, [span.frame for span in spans], kept.total_frames)
        written[-1] += text
        layout = lay_out(self.tokenizer, self._pieces(spans, written), self.video_token_id, self._around(dialogue))
        layout = layout.expanded(torch.tensor([len(row) for row in rows]))
        newline = torch.cat(rows)
        shown = parameter_value(self.model, "model.image_newline").to(kept.embeddings).expand(len(newline), -1).clone()
        shown[(~newline).to(shown.device)] = kept.embeddings
        places = layout.placeholder.nonzero()[:, 0]
        return Prompt(
            self._with_tokens(layout.ids, layout.placeholder, shown),
            places[~newline].to(self.device),
            text_start=int(places[-1]) + 1,
        )

    def _pieces(self, spans: Sequence[FrameSpan], written: Sequence[str]) -> list[tuple[int, str]]:
        pieces: list[tuple[int, str]] = [(NO_FRAME, written[0])]
        for span, after in zip(spans, written[1:], strict=True):
            pieces += [(span.frame, self.video_token), (NO_FRAME, after and "\n" + after)]
        return pieces

    def _newline_places(self, span: FrameSpan) -> Tensor:
        """Bools, True where a newline stands among the tokens of a kept frame."""
        if self.newlines == "video":
            return torch.zeros(span.tokens, dtype=torch.bool)
        assert self.grid is not None
        rows, columns = self.grid
        if span.tokens == self.tokens_per_frame:
            return (torch.arange(columns + 1) == columns).repeat(rows)
        return torch.arange(span.tokens + rows) >= span.tokens

    def _projected(self, pixels: Tensor) -> Tensor:
        """`[T, patches, D]` before any pooling, as the class chooses and projects its vision layers."""
        config, model = self.model.config, self.model.model
        states = model.vision_tower(pixels, output_hidden_states=True).hidden_states
        layers = config.vision_feature_layer
        chosen = states[layers] if isinstance(layers, int) else torch.cat([states[layer] for layer in layers], dim=-1)
        if config.vision_feature_select_strategy == "default":
            chosen = chosen[:, 1:]
        return model.multi_modal_projector(chosen)
