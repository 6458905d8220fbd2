"""Positions of a prompt: rotary frequencies under dynamic scaling, and what lies beyond a model's positions (ours).

transformers keeps the frequencies of the longest prompt seen until a shorter one comes, and gives all rows of a batch those of its
longest. Here they follow from the prompt alone, whatever came before it or stands beside it, and decoding keeps the prompt's.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class DynamicRope(nn.Module):
    """Dynamic NTK frequencies of each row, in place of a text model's `rotary_emb`; nothing is remembered between passes.

    A row of up to `limit` positions has the model's own frequencies, a longer one those of its length, as a model has that was
    just loaded and is given it whole.
    """

    def __init__(self, config: Any) -> None:
        """`config` of a text model whose rope type is "dynamic"."""
        super().__init__()
        self.config = config
        self.limit: int = config.max_position_embeddings
        self.lengths: Sequence[int] | None = None

    @torch.no_grad()
    def forward(self, x: Tensor, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines `[B, L, d]`, in the dtype of `x`, of positions `[B, L]`."""
        positions = position_ids.to(x.device).float()
        lengths = self.lengths or [int(row.max()) + 1 for row in position_ids]
        scaled = [self._frequencies(self.effective(length), x.device) for length in lengths]
        angles = positions[..., None] * torch.stack([frequencies for frequencies, _ in scaled])[:, None]
        angles = torch.cat([angles, angles], dim=-1)
        strength = scaled[0][1]
        return (angles.cos() * strength).to(x.dtype), (angles.sin() * strength).to(x.dtype)

    def effective(self, length: int) -> int:
        """Prompts of equal effective length have equal frequencies."""
        return max(length, self.limit)

    def _frequencies(self, length: int, device: torch.device) -> tuple[Tensor, float]:
        from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS  # which brings all of transformers' modelling

        return ROPE_INIT_FUNCTIONS["dynamic"](self.config, device, seq_len=length)


def rope_type(text: Any) -> str:
    """The kind of rotary scaling that a text config asks for; "default" where it asks for none."""
    return str((getattr(text, "rope_parameters", None) or {}).get("rope_type", "default"))


def make_prompt_wise(language_model: Any) -> None:
    """Let a text model under dynamic scaling take its frequencies from each prompt; any other stays as it is."""
    if rope_type(language_model.config) == "dynamic":
        language_model.rotary_emb = DynamicRope(language_model.config)


@contextmanager
def rotated_for(language_model: Any, lengths: Sequence[int]) -> Iterator[None]:
    """In the body, the rows that `language_model` is given belong to prompts of so many tokens, of which it may see a part."""
    rope = language_model.rotary_emb
    if not isinstance(rope, DynamicRope):
        yield
        return
    before, rope.lengths = rope.lengths, lengths
    try:
        yield
    finally:
        rope.lengths = before


def same_frequencies(language_model: Any, one: int, other: int) -> bool:
    """Whether prompts of `one` and of `other` tokens have equal rotary frequencies, so that keys of one are those of the other."""
    rope = language_model.rotary_emb
    return not isinstance(rope, DynamicRope) or rope.effective(one) == rope.effective(other)


def longest_prompt(text: Any) -> int | None:
    """Positions that a text config's model can be scaled to; a prompt beyond them is refused. None where it names no limit.

    `max_position_embeddings` times the scaling's factor, unless the config says from how many positions that factor counts.
    """
    limit = getattr(text, "max_position_embeddings", None)
    if limit is None:
        return None
    scaling = getattr(text, "rope_parameters", None) or {}
    scaled = scaling.get("original_max_position_embeddings", limit) * scaling.get("factor", 1.0)
    return max(int(limit), int(scaled))


def beyond_positions(positions: int, text: Any, path: str) -> str | None:
    """What to say of a prompt of `positions` positions (of M-RoPE: the highest one plus one); None where the model has as many."""
    limit = getattr(text, "max_position_embeddings", None)
    if limit is None or positions <= limit:
        return None
    scaled = rope_type(text) == "dynamic"
    told = f"the prompt takes {positions:,} positions and {path} was made for {limit:,}"
    return told + (": its rotary frequencies are rescaled for it" if scaled else "")
