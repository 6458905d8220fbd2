"""Attention of the text after a video to the video's tokens, at one layer, beside whatever attention kernel runs (ours).

Fused kernels return no attention. The layer's input is read as it passes, and queries of the text alone meet the visual
keys: a few hundred rows, never L x L.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from videorouter.routers.backbones.prompt import Prompt

QUERIES_AT_ONCE = 32


@contextmanager
def attention_tap(language_model: Any, layer: int, prompt: Prompt) -> Iterator[list[Tensor]]:
    """While open, the first run through layer `layer` (0-based) puts float32 `[N]` into the list it gives: see `Inspected`."""
    seen: list[Tensor] = []
    attention = language_model.layers[layer].self_attn

    def look(module: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        if not seen:
            states = arguments[0] if arguments else named["hidden_states"]
            seen.append(visual_attention(module, states, named["position_embeddings"], prompt))

    handle = attention.register_forward_pre_hook(look, with_kwargs=True)
    try:
        yield seen
    finally:
        handle.remove()


@torch.no_grad()
def visual_attention(
    attention: Any, states: Tensor, position_embeddings: tuple[Tensor, Tensor], prompt: Prompt
) -> Tensor:
    """`[N]` of normalised layer inputs `[1, L, D]`, with the layer's own projections, norms and rotary embedding.

    Softmax over the visual keys alone is softmax over all keys renormalised over the visual ones; every visual key lies
    before the text that asks, so causality forbids none. Raises `ValueError` for a layer of sliding-window attention.
    """
    if getattr(attention, "sliding_window", None):
        raise ValueError("attention cannot be read at a layer with a sliding window: choose another layer")
    start = int(prompt.visual[-1]) + 1 if prompt.text_start is None else prompt.text_start
    asking = torch.arange(start, len(prompt), device=states.device)
    shown = prompt.visual.to(states.device)
    keys = _heads(attention, "k", states, position_embeddings, shown)
    best = torch.zeros(len(shown), device=keys.device)
    for some in asking.split(QUERIES_AT_ONCE):
        queries = _heads(attention, "q", states, position_embeddings, some)
        grouped = queries.unflatten(0, (len(keys), -1)).flatten(1, 2)
        weights = (grouped @ keys.transpose(1, 2) * attention.scaling).softmax(-1)
        best = torch.maximum(best, weights.amax((0, 1)))
    return best


def _heads(
    attention: Any, which: str, states: Tensor, position_embeddings: tuple[Tensor, Tensor], places: Tensor
) -> Tensor:
    """float32 `[heads, places, d]`: queries ("q") or keys ("k") as they enter the dot product."""
    made = getattr(attention, f"{which}_proj")(states[:, places]).unflatten(-1, (-1, attention.head_dim))
    norm = getattr(attention, f"{which}_norm", None)
    made = (made if norm is None else norm(made)).transpose(1, 2)
    rotate = sys.modules[type(attention).__module__].apply_rotary_pos_emb
    cos, sin = (part[:, places.to(part.device)].to(made.device) for part in position_embeddings)
    return rotate(made, made, cos, sin)[0][0].float()
