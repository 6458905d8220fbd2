"""InternVL (2.5, 3, 3.5 in transformers' format): square frames, one tile each, pixel shuffle 0.5, 256 tokens at 448 pixels."""

from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np
import torch
from torch import Tensor
from transformers import InternVLForConditionalGeneration

from videorouter.routers.backbones.layout import ALONE, NO_FRAME, Dialogue, chat_prompt, lay_out, texts_around
from videorouter.routers.backbones.loading_options import Loading
from videorouter.routers.backbones.native import NativeBackbone, span_counts
from videorouter.routers.backbones.pixels import IMAGENET
from videorouter.routers.backbones.prompt import Prompt
from videorouter.routers.backbones.protocol import FrameSpan, Grid, Kept


class InternVLBackbone(NativeBackbone):
    """Frames are lines `Frame-{i}: <img>...</img>`, i counting the frames fed from 1; positions are contiguous.

    So InternVL was trained, and so its report asks; `frame_label` "Frame1" is what transformers' processor writes.
    What is written between frames stands between their lines, as it is given.
    """

    model_class = InternVLForConditionalGeneration
    normalisation = IMAGENET

    def __init__(self, path: str, **loading: Unpack[Loading]) -> None:
        """As `NativeBackbone`; `frame_label` is this family's alone."""
        super().__init__(path, **loading)
        config: Any = self.model.config
        self.frame_size = config.vision_config.image_size[0]
        self._cell = round(config.vision_config.patch_size[0] / config.downsample_ratio)
        self.grid = self.grid_at(config.vision_config.image_size[0])
        self.image_token_id: int = config.image_token_id
        self._label = loading.get("frame_label") or "Frame-1"
        self.image_token = str(self.tokenizer.convert_ids_to_tokens(config.image_token_id))

    def grid_at(self, side: int, grid: Grid | None = None) -> Grid:
        """Position embeddings are interpolated by the class itself, so any whole number of cells will do."""
        if side < self._cell or side % self._cell:
            raise ValueError(f"frames of {side} pixels: {self.path} needs a multiple of {self._cell}")
        return side // self._cell, side // self._cell

    def size_of(self, grid: Grid) -> tuple[int, int]:
        """Squares alone: the class's pixel shuffle knows no other."""
        rows, columns = grid
        if rows != columns:
            raise ValueError(f"frames of {rows}x{columns} tokens: {self.path} encodes squares alone")
        return rows * self._cell, columns * self._cell

    def _encode(self, frames: np.ndarray, grid: Grid) -> Tensor:
        return self.model.get_image_features(pixel_values=self._pixels(frames, grid)).pooler_output

    def prompt_text(self, spans: Sequence[FrameSpan], text: str) -> str:
        """`Frame-{i}: <img><IMG_CONTEXT>..</img>` a line, i counting the frames fed from 1, then `text`, in the chat template."""
        written = [*([""] * len(spans)), text]
        pieces = self._pieces(spans, written, [span.tokens for span in spans])
        return chat_prompt(self.tokenizer, "".join(piece for _, piece in pieces), self._around(ALONE))

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
        written = texts_around(between, [span.frame for span in spans], kept.total_frames)
        written[-1] += text
        layout = lay_out(
            self.tokenizer, self._pieces(spans, written, [1] * len(spans)), self.image_token_id, self._around(dialogue)
        )
        layout = layout.expanded(span_counts(spans))
        embeddings = self._with_tokens(layout.ids, layout.placeholder, kept.embeddings)
        return Prompt(embeddings, layout.placeholder.nonzero()[:, 0].to(self.device))

    def _pieces(
        self, spans: Sequence[FrameSpan], written: Sequence[str], placeholders: Sequence[int]
    ) -> list[tuple[int, str]]:
        pieces: list[tuple[int, str]] = []
        for number, (span, count) in enumerate(zip(spans, placeholders, strict=True), start=1):
            pieces.append((NO_FRAME, written[number - 1]))
            pieces.append(
                (span.frame, f"{self._label.removesuffix('1')}{number}: <img>{self.image_token * count}</img>\n")
            )
        return [*pieces, (NO_FRAME, written[-1])]
