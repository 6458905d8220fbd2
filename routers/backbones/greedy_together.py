"""Greedy decoding of several prompts at once (ours): each is prefilled alone, then their tokens are decoded in one pass each.

A prefill is bound by arithmetic, and nothing is saved by padding prompts to one length; a decoded token is bound by reading the
weights, once for all of them. So what a prompt's first token is does not depend on its company. What follows is what the prompt
alone would get, up to rounding: who batches chooses the company once and for all.
"""

import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import DynamicCache

from videorouter.routers.backbones.greedy import Decoded, hidden_states
from videorouter.routers.backbones.prompt import Prompt
from videorouter.routers.backbones.shared_prefix import SharedPrefix


@torch.no_grad()
def decode_together(
    model: Any, prompts: Sequence[Prompt], max_new_tokens: int, ends: set[int], *, shared: SharedPrefix | None = None
) -> list[Decoded]:
    """As `greedy.decode` for each prompt, until the last has ended.

    Seconds of prefill are each prompt's own, those of generation the batch's, shared out equally.
    """
    language_model, embed = model.model.language_model, model.get_input_embeddings()
    made: list[list[int]] = []
    filled: list[list[tuple[Tensor, Tensor]]] = []
    prefills = []
    for prompt in prompts:
        started = time.perf_counter()
        own: Any = (shared or SharedPrefix()).cache_for(prompt, language_model)
        states = hidden_states(language_model, prompt, own)
        made.append([int(model.lm_head(states[:, -1]).argmax())])  # waits for the device
        filled.append([(layer.keys, layer.values) for layer in own.layers])
        prefills.append(time.perf_counter() - started)
    started = time.perf_counter()
    rounds = 1
    cache, attended = _side_by_side(filled, language_model)
    placed = [prompt.positioned() for prompt in prompts]
    while rounds < max_new_tokens and not all(ids[-1] in ends for ids in made):
        last = torch.tensor([[ids[-1]] for ids in made], device=attended.device)
        attended = pad(attended, (0, 1), value=1)
        states = language_model(
            inputs_embeds=embed(last),
            attention_mask=attended,
            position_ids=torch.cat([_after(prompt, rounds - 1) for prompt in placed], dim=-2),
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        likeliest = model.lm_head(states[:, -1]).argmax(-1).tolist()
        for ids, token in zip(made, likeliest, strict=True):
            if ids[-1] not in ends:  # one that has ended keeps its place, and nothing of it is heard
                ids.append(token)
        rounds += 1
    seconds = (time.perf_counter() - started) / len(made)
    return [Decoded(ids, torch.empty(0), prefill, seconds) for ids, prefill in zip(made, prefills, strict=True)]


def _side_by_side(filled: Sequence[list[tuple[Tensor, Tensor]]], language_model: Any) -> tuple[DynamicCache, Tensor]:
    """One cache of B prompts, padded on the left to the longest, L, and int64 `[B, L]`, 0 for padding. Empties `filled`."""
    lengths = [own[0][0].shape[-2] for own in filled]
    gaps = [max(lengths) - length for length in lengths]
    attended = torch.ones(len(filled), max(lengths), dtype=torch.long, device=filled[0][0][0].device)
    for row, gap in enumerate(gaps):
        attended[row, :gap] = 0
    cache = DynamicCache(config=language_model.config)
    for number in range(len(filled[0])):
        layer = [own.pop(0) for own in filled]  # so that all is held twice for one layer alone
        keys, values = (
            torch.cat([pad(part, (0, 0, gap, 0)) for part, gap in zip(parts, gaps, strict=True)])
            for parts in zip(*layer, strict=True)
        )
        cache.update(keys, values, number)
    return cache, attended


def _after(prompt: Prompt, generated: int) -> Tensor:
    positions = prompt.positions_after(generated)
    assert positions is not None
    return positions
