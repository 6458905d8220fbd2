"""States of an embedded prompt: one pass of the text model, with the deepstack features where its video is seen (ours)."""

from typing import Any, Final

import torch
from torch import Tensor
from transformers import DynamicCache

from videorouter.routers.backbones.prompt import Prompt, unseen
from videorouter.routers.backbones.rope import rotated_for

LOGITS: Final = "a logit of the answer"
"""The stage that `NotFiniteError` names where the next token's logits are no numbers."""


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
