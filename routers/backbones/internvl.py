"""InternVL (2.5, 3, 3.5 in transformers' format): square frames, one tile each, pixel shuffle 0.5, 256 tokens at 448 pixels."""

import time
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoTokenizer,
    InternVLForConditionalGeneration,
    StoppingCriteria,
    StoppingCriteriaList,
)

from routers.backbones.base import FrameSpan, Generated
from routers.shadow import ShadowStack
from video.resize import resize_frames

IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_DEVIATION = (0.229, 0.224, 0.225)


class InternVLBackbone:
    """`Backbone` around `InternVLForConditionalGeneration`, with the class itself untouched."""

    def __init__(
        self, path: str, *, device: str | torch.device = "cpu", dtype: torch.dtype | str | None = None
    ) -> None:
        """Load a checkpoint folder or Hub id. Raises what transformers raises for a folder that is not InternVL's.

        Without `dtype` weights are float32 on a CPU, where bfloat16 is slow on most machines, and the checkpoint's own elsewhere.
        """
        self.path = path
        self.device = torch.device(device)
        self._own_dtype = AutoConfig.from_pretrained(path).dtype if dtype is None else None
        if dtype is None:
            dtype = torch.float32 if self.device.type == "cpu" else "auto"
        self.tokenizer = AutoTokenizer.from_pretrained(path)
        self.model = InternVLForConditionalGeneration.from_pretrained(path, dtype=dtype)
        self.model.requires_grad_(False).eval()
        self.to(self.device)
        config: Any = self.model.config
        size, patch = config.vision_config.image_size[0], config.vision_config.patch_size[0]
        side = int(size // patch * config.downsample_ratio)
        self.frame_size: int = size
        self.grid = (side, side)
        self.hidden_size: int = config.text_config.hidden_size
        self.image_token_id: int = config.image_token_id
        self.image_token = str(self.tokenizer.convert_ids_to_tokens(config.image_token_id))

    @property
    def tokens_per_frame(self) -> int:
        return self.grid[0] * self.grid[1]

    def to(self, device: torch.device) -> None:
        """Move the model; weights that are float32 only for a CPU's sake become the checkpoint's own again on a GPU."""
        self.device = device
        torch.nn.Module.to(self.model, device)
        if device.type != "cpu" and self._own_dtype is not None:
            torch.nn.Module.to(self.model, self._own_dtype)

    @torch.no_grad()
    def encode_frames(self, frames: np.ndarray, frames_at_once: int = 32) -> Tensor:
        chunks = [
            self.model.get_image_features(pixel_values=self._pixels(frames[i : i + frames_at_once])).pooler_output
            for i in range(0, len(frames), frames_at_once)
        ]
        return torch.cat(chunks)

    def embed_text(self, text: str) -> Tensor:
        ids = self.tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids[0]
        return self._embed(ids)

    def shadow_stack(self, layers: int = 4) -> ShadowStack:
        return ShadowStack(self.model.model.language_model, layers)

    def prompt_text(self, spans: Sequence[FrameSpan], text: str) -> str:
        """`Frame-{i}: <img><IMG_CONTEXT>..</img>` a line, i counting the frames fed from 1, then `text`, in the chat template."""
        frames = [
            f"Frame-{number}: <img>{self.image_token * span.tokens}</img>" for number, span in enumerate(spans, start=1)
        ]
        message = {"role": "user", "content": "\n".join([*frames, text])}
        return str(self.tokenizer.apply_chat_template([message], tokenize=False, add_generation_prompt=True))

    @torch.no_grad()
    def embed_prompt(self, spans: Sequence[FrameSpan], embeddings: Tensor, text: str) -> Tensor:
        ids = self.tokenizer(self.prompt_text(spans, text), add_special_tokens=False, return_tensors="pt").input_ids[0]
        places = ids == self.image_token_id
        asked, given = int(places.sum()), len(embeddings)
        assert asked == given == sum(span.tokens for span in spans), f"{asked} placeholders for {given} visual tokens"
        prompt = self._embed(ids).clone()
        prompt[places.to(self.device)] = embeddings.to(prompt.dtype)
        return prompt.unsqueeze(0)

    @torch.no_grad()
    def next_token_logits(self, prompt: Tensor, answer_prefix: str = "") -> Tensor:
        if answer_prefix:
            prompt = torch.cat([prompt, self.embed_text(answer_prefix).unsqueeze(0)], dim=1)
        return self.model(inputs_embeds=prompt, logits_to_keep=1, use_cache=False).logits[0, -1]

    @torch.no_grad()
    def generate(self, prompt: Tensor, max_new_tokens: int) -> Generated:
        clock, model = _FirstTokenClock(), cast(Any, self.model)
        started = time.perf_counter()
        ids = model.generate(
            inputs_embeds=prompt,
            attention_mask=torch.ones(prompt.shape[:2], dtype=torch.long, device=self.device),
            max_new_tokens=max_new_tokens,
            do_sample=False,
            pad_token_id=self.tokenizer.pad_token_id,
            stopping_criteria=StoppingCriteriaList([clock]),
        )
        ended = time.perf_counter()
        text = str(self.tokenizer.decode(ids[0], skip_special_tokens=True)).strip()
        return Generated(text, clock.first - started, ended - clock.first)

    def token_id(self, text: str) -> int:
        ids = self.tokenizer(text, add_special_tokens=False).input_ids
        if len(ids) != 1:
            raise ValueError(f"{text!r} is {len(ids)} tokens in the tokenizer of {self.path}, one is needed")
        return ids[0]

    def _embed(self, ids: Tensor) -> Tensor:
        return self.model.get_input_embeddings()(ids.to(self.device))

    def _pixels(self, frames: np.ndarray) -> Tensor:
        """uint8 `[T, H, W, 3]` -> normalised `[T, 3, size, size]`, as GotOcr2ImageProcessorPil does for one tile."""
        resized = torch.from_numpy(resize_frames(frames, self.frame_size)).to(self.device)
        return normalised_pixels(resized).to(self.model.dtype)


def normalised_pixels(frames: Tensor) -> Tensor:
    """uint8 `[T, S, S, 3]` -> float32 `[T, 3, S, S]` with ImageNet's mean and deviation taken out."""
    mean = torch.tensor(IMAGE_MEAN, device=frames.device)
    deviation = torch.tensor(IMAGE_DEVIATION, device=frames.device)
    return ((frames.float() / 255 - mean) / deviation).permute(0, 3, 1, 2)


class _FirstTokenClock(StoppingCriteria):
    """Never stops generation; remembers when the first token was there."""

    def __init__(self) -> None:
        self.first = 0.0

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: object) -> Tensor:
        if not self.first:
            if input_ids.is_cuda:
                torch.cuda.synchronize(input_ids.device)
            self.first = time.perf_counter()
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
