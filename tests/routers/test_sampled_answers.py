"""Sampling draws from what temperature, top-k and top-p leave, and a seed draws the same answer beside whatever rows."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.routers.tiny_backbones import all_kept, some_kept, video, write_tiny
from videorouter.routers.backbones.loading import load_backbone
from videorouter.routers.backbones.running_batch import greedy
from videorouter.routers.backbones.sampling import Sampling

LOGITS = torch.tensor([1.0, 3.0, 2.0, -1.0])


def shares(sampling: Sampling, draws: int = 4000) -> torch.Tensor:
    choose = sampling.for_row()
    return torch.bincount(torch.tensor([choose(LOGITS) for _ in range(draws)]), minlength=4) / draws


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_draws_follow_the_distribution_at_the_temperature(temperature: float) -> None:
    made = shares(Sampling(temperature, seed=1))
    torch.testing.assert_close(made, (LOGITS / temperature).softmax(-1), atol=0.03, rtol=0)


def test_top_k_and_top_p_leave_the_likeliest() -> None:
    two = LOGITS.masked_fill(LOGITS < 2, -torch.inf).softmax(-1)
    torch.testing.assert_close(shares(Sampling(1.0, top_k=2, seed=1)), two, atol=0.03, rtol=0)
    torch.testing.assert_close(shares(Sampling(1.0, top_p=0.8, seed=1)), two, atol=0.03, rtol=0)
    for certain in (Sampling(1.0, top_k=1), Sampling(1.0, top_p=1e-6), Sampling(1e-4), Sampling(1e-30), Sampling(0.0)):
        assert {certain.for_row()(LOGITS * 1e4) for _ in range(50)} == {1}
    assert Sampling().for_row() is greedy


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"temperature": -0.1}, "temperature is -0.1"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"temperature": float("inf")}, "temperature is inf"),
        ({"top_p": 0.0}, "top_p is 0.0"),
        ({"top_p": 1.1}, "top_p is 1.1"),
        ({"top_k": -2}, "top_k is -2"),
        ({"seed": 2**64}, "seed is 18446744073709551616"),
    ],
)
def test_values_out_of_range_are_refused(more: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Sampling(**more)


def test_the_largest_and_smallest_seeds_draw() -> None:
    for seed in (-(2**63), 2**64 - 1, 0):
        assert Sampling(1.0, seed=seed).for_row()(LOGITS) in range(4)


def test_a_seed_gives_the_same_answer_in_any_batch(tmp_path: Path) -> None:
    backbone: Any = load_backbone(str(write_tiny(tmp_path / "model", "internvl")), device="cpu")
    tokens = backbone.encode_frames(video(2))
    prompt = backbone.embed_prompt(all_kept(tokens), "Why?")
    longer = backbone.embed_prompt(some_kept(tokens, torch.arange(9)), "What is shown first, and where is it?" * 3)

    def drawn(seed: int | None, beside: int) -> list[int]:
        """Ids where so many others run already, and one more joins later."""
        batch = backbone.running_batch()
        for number in range(beside):
            batch.join((prompt, longer)[number % 2], 30, choose=Sampling(1.0, seed=number).for_row())
            batch.step()
        row = batch.join(prompt, 12, choose=Sampling(1.5, 0.95, seed=seed).for_row())
        while row.running:
            batch.step()
            if beside and len(row.ids) == 3:
                batch.join(longer, 3, choose=Sampling(0.7).for_row())
        return row.ids

    alone = drawn(7, 0)
    assert [drawn(7, beside) for beside in (0, 1, 3)] == [alone] * 3
    assert drawn(8, 0) != alone
    assert drawn(None, 0) != drawn(None, 0)
