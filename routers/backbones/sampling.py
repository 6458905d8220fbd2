"""How the next token is drawn where it is not the likeliest: temperature, top-k and top-p as transformers cuts them (ours)."""

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from videorouter.routers.backbones.running_batch import Choose, greedy

COLDEST: Final = 1e-5
"""Temperatures below are 0, as vLLM takes them: logits divided by them come near the end of float32."""
SEEDS: Final = range(-(2**63), 2**64)
"""What a generator of torch can be started with."""


@dataclass(frozen=True)
class Sampling:
    """What a request asks for, and for each of its rows a chooser with a generator of its own.

    Args:
        temperature: 0 is the likeliest token, whatever the others say
        top_p: the likeliest tokens whose probabilities reach it
        top_k: so many of the likeliest tokens; 0 and -1 are all
        seed: the same seed draws the same answer whatever is decoded beside it, up to rounding, on the same kind of device
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None

    def __post_init__(self) -> None:
        """Raises `ValueError` for a value out of range."""
        if not 0 <= self.temperature < math.inf:
            raise ValueError(f"temperature is {self.temperature}: give 0 for the likeliest token, or a number above")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p}: give a share of the probability above 0, up to 1 for all of it")
        if self.top_k < -1:
            raise ValueError(f"top_k is {self.top_k}: give a number of tokens, or 0 for all")
        if self.seed is not None and self.seed not in SEEDS:
            raise ValueError(f"seed is {self.seed}: give a whole number of at most 64 bits")

    def for_row(self) -> Choose:
        """A new chooser: its draws begin at the seed, so each row has one of its own."""
        if self.temperature < COLDEST:
            return greedy
        from transformers import (  # which brings all of transformers' generation
            LogitsProcessorList,
            TemperatureLogitsWarper,
            TopKLogitsWarper,
            TopPLogitsWarper,
        )

        warpers = LogitsProcessorList([TemperatureLogitsWarper(float(self.temperature))])
        if self.top_k > 0:
            warpers.append(TopKLogitsWarper(self.top_k))
        if self.top_p < 1:
            warpers.append(TopPLogitsWarper(self.top_p))
        generators: list[torch.Generator] = []

        def choose(logits: Tensor) -> int:
            if not generators:
                generators.append(_generator(self.seed, logits.device))
            scores = warpers(torch.empty(1, 0, dtype=torch.long), logits.float()[None])  # type: ignore[arg-type]
            return int(torch.multinomial(scores.softmax(-1)[0], 1, generator=generators[0]))

        return choose


def _generator(seed: int | None, device: torch.device) -> torch.Generator:
    generator = torch.Generator(device)
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    return generator
