"""Several prompts in one pass of the model, the shorter ones padded on the left so that all end at one place (ours).

What is decoded is what each prompt alone would get, up to rounding: which other prompts stand beside it moves its logits by
that much, so who batches chooses the company once and for all.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import DynamicCache

from routers.backbones.greedy import Decoded
from routers.backbones.prompt import Prompt


@dataclass(frozen=True)
class Batch:
    """B prompts, the longest of L tokens.

    Args:
        prompts: each as it was, with positions
        embeddings: `[B, L, D]`
        attended: int64 `[B, L]`, 0 for padding
        visual: bool `[B, L]`
    """

    prompts: tuple[Prompt, ...]
    embeddings: Tensor
    attended: Tensor
    visual: Tensor

    @classmethod
    def of(cls, prompts: Sequence[Prompt]) -> "Batch":
        """Pad and stack prompts of one backbone."""
        longest = max(len(prompt) for prompt in prompts)
        gaps = [longest - len(prompt) for prompt in prompts]
        attended = torch.ones(len(prompts), longest, dtype=torch.long, device=prompts[0].embeddings.device)
        visual = torch.zeros_like(attended, dtype=torch.bool)
        for row, (prompt, gap) in enumerate(zip(prompts, gaps, strict=True)):
            attended[row, :gap] = 0
            visual[row, prompt.visual + gap] = True
        embeddings = [pad(prompt.embeddings, (0, 0, gap, 0)) for prompt, gap in zip(prompts, gaps, strict=True)]
        return cls(tuple(prompt.positioned() for prompt in prompts), torch.cat(embeddings), attended, visual)

    def states(self, language_model: Any, cache: DynamicCache | None = None) -> Tensor:
        """`[B, L, D]` after the text model's last norm."""
        length, places = self.embeddings.shape[1], []
        for prompt in self.prompts:
            assert prompt.position_ids is not None
            places.append(pad(prompt.position_ids, (length - len(prompt), 0)))
        more: dict[str, Any] = {}
        if levels := [prompt.deepstack for prompt in self.prompts if prompt.deepstack]:
            joined = [torch.cat(level) for level in zip(*levels, strict=True)]
            more = {"visual_pos_masks": self.visual, "deepstack_visual_embeds": joined}
        return language_model(
            inputs_embeds=self.embeddings,
            attention_mask=self.attended,
            position_ids=torch.cat(places, dim=-2),
            past_key_values=cache,
            use_cache=cache is not None,
            **more,
        ).last_hidden_state

    def continued(self, language_model: Any, embeddings: Tensor, generated: int, cache: DynamicCache) -> Tensor:
        """States `[B, 1, D]` of one more token `[B, 1, D]` each, behind the prompts and `generated` tokens."""
        places = [prompt.positions_after(generated) for prompt in self.prompts]
        assert all(place is not None for place in places)
        return language_model(
            inputs_embeds=embeddings,
            attention_mask=pad(self.attended, (0, generated + 1), value=1),
            position_ids=torch.cat([place for place in places if place is not None], dim=-2),
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state


@torch.no_grad()
def next_logits(model: Any, prompts: Sequence[Prompt]) -> Tensor:
    """`[B, V]`, of the token that follows each prompt, by a conditional generation class of transformers."""
    return model.lm_head(Batch.of(prompts).states(model.model.language_model)[:, -1])


@torch.no_grad()
def decode_together(model: Any, prompts: Sequence[Prompt], max_new_tokens: int, ends: set[int]) -> list[Decoded]:
    """As `greedy.decode` for each prompt, until the last has ended; the seconds are the batch's, shared out equally."""
    language_model, embed = model.model.language_model, model.get_input_embeddings()
    started = time.perf_counter()
    batch, cache = Batch.of(prompts), DynamicCache(config=language_model.config)
    states = batch.states(language_model, cache)
    made: list[list[int]] = [[] for _ in prompts]
    first = 0.0
    while True:
        likeliest = model.lm_head(states[:, -1]).argmax(-1)
        for ids, token in zip(made, likeliest.tolist(), strict=True):  # waits for the device
            if not ids or ids[-1] not in ends:
                ids.append(token)
        first = first or time.perf_counter()
        rounds = max(len(ids) for ids in made)
        if rounds >= max_new_tokens or all(ids[-1] in ends for ids in made):
            break
        states = batch.continued(language_model, embed(likeliest[:, None]), rounds - 1, cache)
    prefill, generate = (first - started) / len(made), (time.perf_counter() - first) / len(made)
    return [Decoded(ids, torch.empty(0), prefill, generate) for ids in made]
