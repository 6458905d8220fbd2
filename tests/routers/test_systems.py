"""Every system keeps its budget, temporal order, and says where each token came from."""

from pathlib import Path

import pytest
import torch

from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.systems.query import Query, Truth
from videorouter.routers.systems.registry import SYSTEMS

FRAMES, PER_FRAME = 24, 16
WANT_MORE = {"relevance_pooling", "attention_topk", "adapttoken", "adapttoken_lite"}
"""An encoder, or runs of the model: tested in files of their own."""
NAMED = [name for name in SYSTEMS if name not in WANT_MORE]


@pytest.fixture(scope="module")
def loaded(router: Path) -> VideoRouter:
    return VideoRouter.from_pretrained(router)


@pytest.fixture(scope="module")
def tokens(loaded: VideoRouter) -> torch.Tensor:
    return torch.randn(FRAMES, PER_FRAME, loaded.backbone.hidden_size, generator=torch.Generator().manual_seed(0))


QUERY = Query("Which one?", ("a", "b"), Truth("fragment", tuple(i in (3, 4) for i in range(FRAMES))))


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("budget", [40, 100, 200])
def test_no_budgeted_system_exceeds_its_budget(
    loaded: VideoRouter, tokens: torch.Tensor, name: str, budget: int
) -> None:
    system = loaded.system(name)
    kept = system.compress(tokens, QUERY, budget)
    assert kept.tokens <= budget or not system.budgeted
    assert kept.frames.tolist() == sorted(kept.frames.tolist())
    assert kept.tokens == sum(span.tokens for span in kept.spans) == len(kept.cells)
    assert int(kept.cells.max()) < PER_FRAME


@pytest.mark.parametrize("name", NAMED)
def test_systems_are_deterministic(loaded: VideoRouter, tokens: torch.Tensor, name: str) -> None:
    first, second = (loaded.system(name).compress(tokens, QUERY, 120) for _ in range(2))
    assert torch.equal(first.embeddings, second.embeddings)


def test_dense_keeps_every_token_unchanged(loaded: VideoRouter, tokens: torch.Tensor) -> None:
    kept = loaded.system("dense").compress(tokens, QUERY, 1)
    assert torch.equal(kept.embeddings, tokens.flatten(0, 1))


def test_the_oracle_keeps_the_evidence_in_full(loaded: VideoRouter, tokens: torch.Tensor) -> None:
    kept = loaded.system("oracle").compress(tokens, QUERY, 120)
    assert {span.frame: span.tokens for span in kept.spans}[3] == PER_FRAME
    assert torch.equal(kept.embeddings[kept.frames == 4], tokens[4])
    with pytest.raises(ValueError, match="needs the truth"):
        loaded.system("oracle").compress(tokens, Query("Which one?"), 120)


def test_the_image_router_does_not_run_under_global(loaded: VideoRouter, tokens: torch.Tensor) -> None:
    assert loaded.system(policy="global").compress(tokens, QUERY, 200).relevance is None
    relevance = loaded.system(policy="fragment").compress(tokens, QUERY, 200).relevance
    assert relevance is not None
    assert relevance.shape == (FRAMES,)


def test_an_unknown_system_is_refused_with_the_list(loaded: VideoRouter) -> None:
    with pytest.raises(ValueError, match="uniform_pooling"):
        loaded.system("magic")
