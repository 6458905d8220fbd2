"""Prompts that begin alike are run once up to where they differ: one video, the same tokens kept, several questions (ours)."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from videorouter.routers.backbones.prompt import Prompt


@dataclass
class SharedPrefix:
    """Keys and values of the last prompt. One that has its visual tokens, and stands around them as it does, continues from them.

    What follows is the same as without it, up to rounding; seconds are not, so latency is measured without.
    """

    prompt: Prompt | None = None
    cache: DynamicCache | None = field(default=None, repr=False)

    def cache_for(self, prompt: Prompt, language_model: Any) -> DynamicCache:
        """A cache that holds what `prompt` shares with the last one: all of its video, or nothing."""
        shared = 0 if self.prompt is None else _shared_tokens(self.prompt, prompt)
        if self.cache is None or not shared:
            self.cache = DynamicCache(config=language_model.config)
        elif (surplus := self.cache.get_seq_length() - shared) > 0:
            self.cache.crop(-surplus)
        self.prompt = prompt
        return self.cache


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
