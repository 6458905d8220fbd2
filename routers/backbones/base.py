"""What the routers and systems need of a video model, whatever its family."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from routers.shadow import ShadowStack


@dataclass(frozen=True)
class FrameSpan:
    """One kept frame as it stands in the prompt: its 0-based index among the sampled frames and its visual tokens."""

    frame: int
    tokens: int


@dataclass(frozen=True)
class Generated:
    """Greedy text with the seconds spent until its first token (prefill) and on the rest."""

    text: str
    prefill_seconds: float
    generate_seconds: float


class Backbone(Protocol):
    """A video language model behind a handful of verbs. `T` frames, `M` tokens a frame, `D` hidden size."""

    path: str
    grid: tuple[int, int]
    frame_size: int
    hidden_size: int
    device: torch.device

    @property
    def tokens_per_frame(self) -> int:
        """M, the visual tokens of one frame at full resolution."""
        ...

    def to(self, device: torch.device) -> None:
        """Move the model."""
        ...

    def encode_frames(self, frames: np.ndarray, frames_at_once: int = 32) -> Tensor:
        """uint8 RGB `[T, H, W, 3]` of any size -> tokens after the projector `[T, M, D]`."""
        ...

    def embed_text(self, text: str) -> Tensor:
        """Plain text -> token embeddings `[L, D]`, no special tokens added."""
        ...

    def shadow_stack(self, layers: int = 4) -> ShadowStack:
        """A copy of the first `layers` decoder layers."""
        ...

    def embed_prompt(self, spans: Sequence[FrameSpan], embeddings: Tensor, text: str) -> Tensor:
        """The whole chat prompt with visual `embeddings` `[N, D]` in place: `[1, L, D]`; N = tokens of all spans."""
        ...

    def next_token_logits(self, prompt: Tensor, answer_prefix: str = "") -> Tensor:
        """Logits `[V]` of the token that follows the prompt and `answer_prefix`."""
        ...

    def generate(self, prompt: Tensor, max_new_tokens: int) -> Generated:
        """Greedy continuation of an embedded prompt."""
        ...

    def token_id(self, text: str) -> int:
        """The id of `text` as one token. Raises `ValueError` if it is none or several."""
        ...
