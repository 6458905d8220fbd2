"""A backbone whose attention and certainty are what the test writes into the tokens; it notes what it was run on."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from videorouter.routers.systems.base import CompressedVideo


class AttentiveBackbone:
    """Channel 0 of a token is its attention; channel 1 of a group's first token is the entropy of the whole answer, in nats."""

    path = "attentive"
    device = torch.device("cpu")
    channels = hidden_size = 6
    layers = 8
    readable_layers = range(8)
    frames_per_patch = 1
    frame_size = 2

    def __init__(
        self, grid: tuple[int, int] = (2, 2), policy: Literal["contiguous", "original"] = "contiguous"
    ) -> None:
        self.grid = grid
        self.position_policy = policy
        self.inspected: list[list[float]] = []
        self.encoded: list[int] = []
        self.asked: list[tuple[int, int]] = []
        self.written: list[Any] = []

    @property
    def tokens_per_frame(self) -> int:
        return self.grid[0] * self.grid[1]

    def grid_of(self, frames: int, height: int, width: int) -> tuple[int, int]:
        return self.grid

    def encode_frames(self, frames: np.ndarray, frames_at_once: int = 32, grid: Any = None) -> Tensor:
        """Frames `[T, M, 6]` that are their own tokens."""
        self.encoded.append(len(frames))
        return torch.from_numpy(np.ascontiguousarray(frames[:: self.frames_per_patch]))

    def embed_prompt(
        self,
        kept: CompressedVideo,
        text: str,
        seconds: Sequence[float] | None = None,
        between: Sequence[str] | None = None,
    ) -> Any:
        return SimpleNamespace(kept=kept, text=text, seconds=seconds, between=between)

    def inspect(self, prompt: Any, layer: int, max_new_tokens: int) -> Any:
        kept: CompressedVideo = prompt.kept
        self.inspected.append(list(prompt.seconds or range(len(kept.spans))))
        self.asked.append((layer, max_new_tokens))
        self.written.append(prompt.between)
        entropy = kept.embeddings[0, 1].abs()
        return SimpleNamespace(
            attention=kept.embeddings[:, 0], entropies=entropy.repeat(max_new_tokens), text=prompt.text
        )


def attentive(grid: tuple[int, int] = (2, 2), **more: Any) -> tuple[Any, AttentiveBackbone]:
    """The backbone twice: as the protocol that systems take, and as itself."""
    made = AttentiveBackbone(grid, **more)
    return made, made


def video(frames: int, grid: tuple[int, int] = (2, 2), seed: int = 0) -> Tensor:
    """Random tokens `[T, M, 6]`, few values, so that attention and likeness tie often."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 5, (frames, grid[0] * grid[1], 6), generator=generator).float()


def with_entropies(tokens: Tensor, entropies: Sequence[float]) -> Tensor:
    """The same video; frame t's first token says `entropies[t]`."""
    told = tokens.clone()
    told[:, 0, 1] = torch.tensor(entropies)
    return told
