"""The most attended tokens of every group, all groups alike: AdaptToken without entropy (reference row, ours)."""

import math
from dataclasses import dataclass

from videorouter.routers.systems.adapttoken import AdaptToken


@dataclass(frozen=True)
class AttentionTopk(AdaptToken):
    """Groups and attention as in AdaptToken; at an infinite `tau` all groups weigh alike, and nothing is over-selected.

    So nothing is redundant. The response is one token long, as its entropy is not read.
    """

    tau: float = math.inf
    over_selection: float = 1.0
    max_new_tokens: int = 1
    name: str = "attention_topk"
