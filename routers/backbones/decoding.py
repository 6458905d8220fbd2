"""Greedy decoding of embedded prompts, one or several at once, with positions and deepstack features, over one cache (ours).

`generate` of the model classes cannot be given deepstack features, nor M-RoPE positions that do not follow from ids. What is
decoded is the same: the likeliest token each time, up to the end token; no penalty that a checkpoint's settings ask for.

Several prompts are prefilled one by one, then decoded in one pass a token. A prefill is bound by arithmetic, and nothing is saved
by padding prompts to one length; a decoded token is bound by reading the weights, once for all of them. So a prompt's first token
does not depend on the batch. What follows is what the prompt alone would get, up to rounding.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import DynamicCache

from videorouter.routers.backbones.finite import finite
from videorouter.routers.backbones.prompt import Prompt, SharedPrefix, unseen, whole_cache
from videorouter.routers.backbones.rope import rotated_for

LOGITS: Final = "a logit of the answer"
INCOMPLETE: Final = "\ufffd"
"""What tokenizers show for bytes that are no character yet."""


class TextStreamer:
    """Calls `on_text` with the text that is new since the last call; all pieces together are the answer."""

    def __init__(self, tokenizer: Any, on_text: Callable[[str], None]) -> None:
        self._tokenizer, self._on_text = tokenizer, on_text
        self._said = ""

    def so_far(self, ids: Sequence[int]) -> None:
        """All ids until now."""
        text = self._text(ids)
        if not text.endswith(INCOMPLETE):
            self._say(text)

    def finished(self, ids: Sequence[int]) -> None:
        """No more will come: what was held back is passed on as it is."""
        self._say(self._text(ids).rstrip())

    def _say(self, text: str) -> None:
        if len(text) > len(self._said) and text.startswith(self._said):
            self._on_text(text[len(self._said) :])
            self._said = text

    def _text(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True)).lstrip()


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
    with rotated_for(language_model, [len(prompt)]):
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
        logits = finite(model.lm_head(states[:, -1:])[0, 0], LOGITS, model.name_or_path)
        if entropies:
            uncertain.append(entropy(logits))
        ids.append(int(logits.argmax()))  # waits for the device
        first = first or time.perf_counter()
        told(ids)
        if ids[-1] in ends or len(ids) >= max_new_tokens:
            break
        with rotated_for(language_model, [len(prompt)]):
            states = language_model(
                inputs_embeds=embed(torch.tensor([ids[-1:]], device=prompt.embeddings.device)),
                position_ids=prompt.positions_after(len(ids) - 1),
                past_key_values=cache,
                use_cache=True,
            ).last_hidden_state
    nats = torch.stack(uncertain) if uncertain else torch.empty(0)
    return Decoded(ids, nats, first - started, time.perf_counter() - first)


def entropy(logits: Tensor) -> Tensor:
    """Nats, float32, of the distribution that finite logits `[..., V]` are of."""
    logs = logits.float().log_softmax(-1)
    return -(logs.exp() * logs).sum(-1)


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
        logits = finite(model.lm_head(states[:, -1]), LOGITS, model.name_or_path)
        made.append([int(logits.argmax())])  # waits for the device
        filled.append([(layer.keys, layer.values) for layer in own.layers])
        prefills.append(time.perf_counter() - started)
    started = time.perf_counter()
    rounds = 1
    cache, attended = _side_by_side(filled)
    placed = [prompt.positioned() for prompt in prompts]
    while rounds < max_new_tokens and not all(ids[-1] in ends for ids in made):
        last = torch.tensor([[ids[-1]] for ids in made], device=attended.device)
        attended = pad(attended, (0, 1), value=1)
        with rotated_for(language_model, [len(prompt) for prompt in prompts]):
            states = language_model(
                inputs_embeds=embed(last),
                attention_mask=attended,
                position_ids=torch.cat([_after(prompt, rounds - 1) for prompt in placed], dim=-2),
                past_key_values=cache,
                use_cache=True,
            ).last_hidden_state
        likeliest = finite(model.lm_head(states[:, -1]), LOGITS, model.name_or_path).argmax(-1).tolist()
        for ids, token in zip(made, likeliest, strict=True):
            if ids[-1] not in ends:  # one that has ended keeps its place, and nothing of it is heard
                ids.append(token)
        rounds += 1
    seconds = (time.perf_counter() - started) / len(made)
    return [Decoded(ids, torch.empty(0), prefill, seconds) for ids, prefill in zip(made, prefills, strict=True)]


def _side_by_side(filled: Sequence[list[tuple[Tensor, Tensor]]]) -> tuple[DynamicCache, Tensor]:
    """One cache of B prompts, padded on the left to the longest, L, and int64 `[B, L]`, 0 for padding. Empties `filled`."""
    lengths = [own[0][0].shape[-2] for own in filled]
    gaps = [max(lengths) - length for length in lengths]
    attended = torch.ones(len(filled), max(lengths), dtype=torch.long, device=filled[0][0][0].device)
    for row, gap in enumerate(gaps):
        attended[row, :gap] = 0
    cache = whole_cache()
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
