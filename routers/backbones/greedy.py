"""Greedy decoding of an embedded prompt, with its positions and deepstack features, over one cache (ours).

`generate` of the model classes cannot be given deepstack features, nor M-RoPE positions that do not follow from ids. What is
decoded is the same: the likeliest token each time, up to the end token; no penalty that a checkpoint's settings ask for.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from videorouter.routers.backbones.prompt import Prompt
from videorouter.routers.backbones.shared_prefix import SharedPrefix, unseen


@dataclass(frozen=True)
class Decoded:
    """Ids with the end token, if it came; `entropies` float32 `[R]`, empty where not asked for; seconds as in `Generated`."""

    ids: list[int]
    entropies: Tensor
    prefill_seconds: float
    generate_seconds: float


def hidden_states(language_model: Any, prompt: Prompt, cache: DynamicCache | None = None) -> Tensor:
    """States `[1, l, D]`, after the text model's last norm, of the l tokens that `cache` does not hold yet; all without one."""
    embeddings, positions, shows_video = unseen(prompt, cache)
    more = {}
    if prompt.deepstack and shows_video:
        visual = torch.zeros(prompt.embeddings.shape[:2], dtype=torch.bool, device=prompt.embeddings.device)
        visual[0, prompt.visual] = True
        more = {"visual_pos_masks": visual, "deepstack_visual_embeds": list(prompt.deepstack)}
    return language_model(
        inputs_embeds=embeddings,
        position_ids=positions,
        past_key_values=cache,
        use_cache=cache is not None,
        **more,
    ).last_hidden_state


@torch.no_grad()
def decode(
    model: Any,
    prompt: Prompt,
    max_new_tokens: int,
    ends: set[int],
    *,
    entropies: bool = False,
    shared: SharedPrefix | None = None,
    told: Callable[[list[int]], None] = lambda ids: None,
) -> Decoded:
    """At least one token, at most `max_new_tokens`, of a conditional generation class of transformers.

    `told` is called with all ids so far after every one.
    """
    language_model, embed = model.model.language_model, model.get_input_embeddings()
    started = time.perf_counter()
    cache = (shared or SharedPrefix()).cache_for(prompt, language_model)
    states = hidden_states(language_model, prompt, cache)
    ids: list[int] = []
    uncertain: list[Tensor] = []
    first = 0.0
    while True:
        logits = model.lm_head(states[:, -1:])[0, 0]
        if entropies:
            uncertain.append(entropy(logits))
        ids.append(int(logits.argmax()))  # waits for the device
        first = first or time.perf_counter()
        told(ids)
        if ids[-1] in ends or len(ids) >= max_new_tokens:
            break
        states = language_model(
            inputs_embeds=embed(torch.tensor([ids[-1:]], device=prompt.embeddings.device)),
            position_ids=prompt.positions_after(len(ids) - 1),
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
    nats = torch.stack(uncertain) if uncertain else torch.empty(0)
    return Decoded(ids, nats, first - started, time.perf_counter() - first)


def entropy(logits: Tensor) -> Tensor:
    """Nats, float32, of the distribution that logits `[..., V]` are of."""
    logs = logits.float().log_softmax(-1)
    return -(logs.exp() * logs).nan_to_num().sum(-1)
