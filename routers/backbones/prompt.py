"""An embedded prompt: what the decoder layers of a family need beside the embeddings themselves."""

import hashlib
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Prompt:
    """One chat prompt of L tokens, N of them visual.

    Args:
        embeddings: `[1, L, D]`
        visual: int64 `[N]` increasing places of the visual tokens
        position_ids: what the family's text model takes, `[3, 1, L]` for M-RoPE; None is 0..L-1
        deepstack: `[N, D]` for each of the first decoder layers, added to its output at the visual places (Qwen3-VL)
        next_position: position of the first token after the prompt where `position_ids` are given
        text_start: place where the text after the video begins; None is behind the last visual token
    """

    embeddings: Tensor
    visual: Tensor
    position_ids: Tensor | None = None
    deepstack: tuple[Tensor, ...] = ()
    next_position: int | None = None
    text_start: int | None = None

    def __len__(self) -> int:
        return self.embeddings.shape[1]

    def to(self, dtype: torch.dtype) -> "Prompt":
        """The same prompt in another dtype."""
        deepstack = tuple(layer.to(dtype) for layer in self.deepstack)
        return replace(self, embeddings=self.embeddings.to(dtype), deepstack=deepstack)

    def digest(self) -> bytes:
        """Of all that the model would be given: equal for equal prompts alone."""
        told = hashlib.sha256(repr((self.next_position, self.text_start, self.embeddings.dtype)).encode())
        for part in (self.embeddings, self.visual, self.position_ids, *self.deepstack):
            if part is not None:
                told.update(repr(part.shape).encode())
                told.update(part.detach().cpu().contiguous().view(torch.uint8).numpy().data)
        return told.digest()

    def positioned(self) -> "Prompt":
        """The same prompt with the positions that it has where none are given."""
        if self.position_ids is not None:
            return self
        return replace(self, position_ids=torch.arange(len(self), device=self.embeddings.device)[None])

    def followed_by(self, embeddings: Tensor) -> "Prompt":
        """The prompt continued by text `[n, D]`."""
        longer = torch.cat([self.embeddings, embeddings.unsqueeze(0)], dim=1)
        more = self.positions_after(0, len(embeddings))
        if self.position_ids is None or more is None:
            return replace(self, embeddings=longer)
        places = torch.cat([self.position_ids, more], dim=-1)
        return replace(self, embeddings=longer, position_ids=places, next_position=int(more.max()) + 1)

    def positions_after(self, generated: int, count: int = 1) -> Tensor | None:
        """Positions, in the shape of `position_ids`, of the `count` tokens behind the prompt and `generated` more."""
        if self.position_ids is None:
            return None
        first = int(self.position_ids.max()) + 1 if self.next_position is None else self.next_position
        places = torch.arange(first + generated, first + generated + count, device=self.position_ids.device)
        return places.expand(*self.position_ids.shape[:-1], count)
