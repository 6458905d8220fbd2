"""Decoding of embedded prompts, one or several at once, until all have ended: drivers of `RunningBatch` (ours).

`generate` of the model classes cannot be given deepstack features, nor M-RoPE positions that do not follow from ids. What is
decoded is the same: the likeliest token each time, up to the end token; no penalty that a checkpoint's settings ask for.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from videorouter.routers.backbones.prompt import Prompt, SharedPrefix
from videorouter.routers.backbones.running_batch import Row, RunningBatch, Told, greedy, unheard


@dataclass(frozen=True)
class Decoded:
    """Ids with the end token, if it came (`ended`); `entropies` float32 `[R]`, empty where not asked for; else as `Generated`."""

    ids: list[int]
    ended: bool
    entropies: Tensor
    prefill_seconds: float
    generate_seconds: float


def decode(
    model: Any,
    prompt: Prompt,
    max_new_tokens: int,
    ends: set[int],
    *,
    entropies: bool = False,
    shared: SharedPrefix | None = None,
    told: Told = unheard,
) -> Decoded:
    """At least one token, at most `max_new_tokens`, of a conditional generation class of transformers.

    `told` hears of every one. Raises `NotFiniteError`, and whatever `told` raises.
    """
    uncertain: list[Tensor] = []

    def noted(logits: Tensor) -> int:
        uncertain.append(entropy(logits))
        return greedy(logits)

    batch = RunningBatch(model, ends)
    row = batch.join(prompt, max_new_tokens, choose=noted if entropies else greedy, told=told, shared=shared)
    _run(batch)
    nats = torch.stack(uncertain) if uncertain else torch.empty(0)
    return Decoded(row.ids, row.ended, nats, row.prefill_seconds, row.generate_seconds)


def entropy(logits: Tensor) -> Tensor:
    """Nats, float32, of the distribution that finite logits `[..., V]` are of."""
    logs = logits.float().log_softmax(-1)
    return -(logs.exp() * logs).sum(-1)


def decode_together(
    model: Any, prompts: Sequence[Prompt], max_new_tokens: int, ends: set[int], *, shared: SharedPrefix | None = None
) -> list[Decoded]:
    """As `decode` for each prompt, until the last has ended.

    Seconds of prefill are each prompt's own, those of generation the batch's, shared out equally. Raises `NotFiniteError`.
    """
    batch = RunningBatch(model, ends)
    rows: list[Row] = [batch.join(prompt, max_new_tokens, shared=shared) for prompt in prompts]
    started = time.perf_counter()
    _run(batch)
    seconds = (time.perf_counter() - started) / max(1, len(rows))
    return [Decoded(row.ids, row.ended, torch.empty(0), row.prefill_seconds, seconds) for row in rows]


def _run(batch: RunningBatch) -> None:
    """Until every row has ended. Raises what one of them was ended by."""
    while len(batch):
        for row in batch.step():
            if row.error is not None:
                raise row.error
