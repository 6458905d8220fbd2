"""Controls, printed apart in every table: answers without the video, and answers to the same options in another order."""

import random
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from torch import Tensor

from videorouter.eval.benchmarks.items import Item
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.systems.base import CompressedVideo, System
from videorouter.routers.systems.query import Query, letters
from videorouter.routers.systems.registry import known_system
from videorouter.routers.systems.spec import Kind

BLIND: Final = "blind"
SHUFFLED: Final = "shuffled+"


@dataclass(frozen=True)
class Blind:
    """No frame at all: what the wording, the options and the model's own knowledge are worth."""

    name: str = BLIND
    budgeted: bool = True
    kind: Kind = "control"
    spends_cap: bool = True

    def compress(self, video_tokens: Tensor, query: Query, budget: int) -> CompressedVideo:
        """Nothing of `[T, M, channels]`."""
        none = torch.zeros(0, dtype=torch.int64, device=video_tokens.device)
        return CompressedVideo(video_tokens[:0].flatten(0, 1), none, none, total_frames=len(video_tokens))


@dataclass(frozen=True)
class Shuffled:
    """`inner` asked with the options in another order: what it gains or loses is due to the order alone."""

    inner: System
    kind: Kind = "control"

    @property
    def name(self) -> str:
        return SHUFFLED + self.inner.name

    @property
    def budgeted(self) -> bool:
        return self.inner.budgeted

    @property
    def spends_cap(self) -> bool:
        return self.inner.spends_cap

    def compress(self, video_tokens: Tensor, query: Query, budget: int) -> CompressedVideo:
        """As `inner`, which never reads the options."""
        return self.inner.compress(video_tokens, query, budget)


def check_name(spec: str) -> None:
    """Raise `ValueError` where `spec` writes neither a system nor a control, before anything is loaded."""
    if spec != BLIND:
        known_system(spec.removeprefix(SHUFFLED))


def system_or_control(router: VideoRouter, spec: str, **options: Any) -> System:
    """`blind`, `shuffled+SYSTEM`, or what `router.system` makes. Raises as that."""
    if spec == BLIND:
        return Blind()
    if spec.startswith(SHUFFLED):
        return Shuffled(router.system(spec.removeprefix(SHUFFLED), **options))
    return router.system(spec, **options)


def reordered(item: Item) -> tuple[Item, dict[str, str]]:
    """The item with its options in another order, and for each new letter the one that the option has in `item`.

    The order is drawn from the item's id, so it is the same in every run; it is never the original one.
    """
    draw, usual = random.Random(item.id), list(range(len(item.options)))
    order = usual
    while order == usual and len(set(item.options)) > 1:
        order = draw.sample(usual, len(usual))
    names = letters(item.options)
    meant = {there: names[place] for there, place in zip(names, order, strict=True)}
    answer = next(there for there, here in meant.items() if here == item.answer)
    return replace(item, options=tuple(item.options[place] for place in order), answer=answer), meant
