"""Systems and budgets that need the same pass over the frames run it once, and choose the same tokens."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.systems.base import CompressedVideo
from videorouter.routers.systems.query import PassCache

SYSTEMS = ("videorouter(policy=fragment)", "fca+videorouter", "attention_topk", "adapttoken", "adapttoken_lite")


def test_a_pass_over_the_frames_serves_every_system_and_budget_that_needs_it(
    world: Path, router: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = VideoRouter.from_pretrained(router)
    monkeypatch.setattr(loaded.semantic, "forward", lambda questions: torch.tensor([[0.0, 1.0]]))  # always fragment
    passes: Counter[str] = Counter()
    inspect, features = loaded.backbone.inspect, loaded.image.features

    def inspected(*given: Any) -> Any:
        passes["inspect"] += 1
        return inspect(*given)

    def read(*given: Any) -> Any:
        passes["relevance"] += 1
        return features(*given)

    monkeypatch.setattr(loaded.backbone, "inspect", inspected)
    monkeypatch.setattr(loaded.image, "features", read)
    watched = loaded.watch(sorted((world / "videos").iterdir())[0], frames=8)
    alone = watched.query("Which colour is shown?", ("red", "blue"))

    def chosen(cache: PassCache | None) -> list[CompressedVideo]:
        query = replace(alone, cache=cache)
        return [
            loaded.system(spec).compress(watched.all_tokens, query, budget) for spec in SYSTEMS for budget in (64, 96)
        ]

    apart = chosen(None)
    assert passes == {"inspect": 3 * 2, "relevance": 2 * 2}
    passes.clear()
    shared = chosen(PassCache())
    assert passes == {"inspect": 2, "relevance": 1}  # one response token for attention_topk, sixteen for the others
    assert all(torch.equal(one.embeddings, other.embeddings) for one, other in zip(apart, shared, strict=True))
    assert all(one.policy == other.policy for one, other in zip(apart, shared, strict=True))
