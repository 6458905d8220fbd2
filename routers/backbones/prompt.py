"""An embedded prompt: what the decoder layers need beside the embeddings themselves; and the cache of what prompts share.

Prompts that begin alike are run once up to where they differ: one video, the same tokens kept, several questions (ours).
"""

import copy
import hashlib
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from videorouter.routers.backbones.rope import same_frequencies


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

    @property
    def positions(self) -> int:
        """The highest position plus one: what a model's positions must hold, and fewer than tokens under M-RoPE."""
        return len(self) if self.position_ids is None else int(self.position_ids.max()) + 1

    @property
    def following(self) -> int:
        """Position of the first token behind the prompt."""
        return self.positions if self.next_position is None else self.next_position

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
        first = self.following + generated
        places = torch.arange(first, first + count, device=self.position_ids.device)
        return places.expand(*self.position_ids.shape[:-1], count)


def whole_cache() -> DynamicCache:
    """An empty cache that keeps every token in every layer, those of sliding-window attention included.

    transformers' own forgets in such a layer what has left the window, and what was forgotten cannot be cropped back to. Masks
    hide it from the layer all the same (ours; costs the memory of a layer without a window).
    """
    return DynamicCache()


def continued(cache: DynamicCache) -> DynamicCache:
    """A cache that begins with what `cache` holds, on the device that computed it, and grows alone.

    `cache` itself is only read: it stays as it is whatever becomes of the other, and any number of threads may continue from it.
    """
    other = copy.copy(cache)
    other.layers = [copy.copy(layer) for layer in cache.layers]  # a layer grows by making new tensors, never in place
    for layer in other.layers:
        layer.prefetch()
    return other


@dataclass
class SharedPrefix:
    """Keys and values of the last prompt. One that has its visual tokens, and stands around them as it does, continues from them.

    What follows is the same as without it, up to rounding; seconds are not, so latency is measured without.
    """

    prompt: Prompt | None = None
    cache: DynamicCache | None = field(default=None, repr=False)

    def cache_for(self, prompt: Prompt, language_model: Any) -> DynamicCache:
        """A cache that holds what `prompt` shares with the last one: all of its video, or nothing."""
        shared = 0
        if self.prompt is not None and same_frequencies(language_model, len(self.prompt), len(prompt)):
            shared = _shared_tokens(self.prompt, prompt)
        if self.cache is None or not shared:
            self.cache = whole_cache()
        elif (surplus := self.cache.get_seq_length() - shared) > 0:
            self.cache.crop(-surplus)
        self.prompt = prompt
        return self.cache

    def forget(self) -> None:
        """Hold nothing: after a run that broke off, the cache is not the prompt's."""
        self.prompt = self.cache = None


def _shared_tokens(one: Prompt, other: Prompt) -> int:
    """How many tokens both begin with, at least one of `other` left; 0 where they end before its last visual token."""
    if not torch.equal(one.visual, other.visual) or len(one.deepstack) != len(other.deepstack):
        return 0
    length = min(len(one), len(other) - 1)
    alike = (one.embeddings[0, :length] == other.embeddings[0, :length]).all(-1)
    if one.position_ids is not None and other.position_ids is not None:
        alike &= (one.position_ids[..., :length] == other.position_ids[..., :length]).flatten(0, -2).all(0)
    count = int(alike.long().cumprod(0).sum())
    covered = len(other.visual) == 0 or count > int(other.visual[-1])
    same_levels = all(map(torch.equal, one.deepstack, other.deepstack))
    return count if covered and same_levels else 0


def unseen(prompt: Prompt, cache: DynamicCache | None) -> tuple[Tensor, Tensor | None, bool]:
    """Embeddings and positions of the tokens that `cache` does not hold, and whether visual ones are among them."""
    seen = 0 if cache is None else cache.get_seq_length()
    positions = None if prompt.position_ids is None else prompt.position_ids[..., seen:]
    return prompt.embeddings[:, seen:], positions, len(prompt.visual) > 0 and seen <= int(prompt.visual[-1])
