"""Prompts answered in one pass get what each gets alone, in every family and whatever stands beside them."""

from typing import Any

import pytest
import torch

from routers.backbones import load_backbone
from tests.routers.tiny_backbones import all_kept, greedy_without_cache, some_kept, video, write_tiny

SECONDS = (0.5, 1.5, 2.5, 3.5)


@pytest.fixture(scope="module", params=["internvl", "qwen2_5_vl", "qwen3_vl", "llava_onevision"])
def backbone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_backbone(str(write_tiny(tmp_path_factory.mktemp(request.param) / "model", request.param)))


@pytest.fixture(scope="module")
def prompts(backbone: Any) -> list[Any]:
    """All tokens, some of them, other ones and a longer question."""
    tokens = backbone.encode_frames(video(4))
    return [
        backbone.embed_prompt(all_kept(tokens), "Why?", SECONDS),
        backbone.embed_prompt(some_kept(tokens, torch.arange(3, 11)), "What is shown?", SECONDS),
        backbone.embed_prompt(some_kept(tokens, torch.arange(0, 2)), "What is shown first, and where is it?", SECONDS),
    ]


def test_logits_are_those_of_each_prompt_alone(backbone: Any, prompts: list[Any]) -> None:
    alone = torch.stack([backbone.next_token_logits(prompt) for prompt in prompts])
    assert len({len(prompt) for prompt in prompts}) == len(prompts)
    torch.testing.assert_close(backbone.next_token_logits_together(prompts), alone, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(backbone.next_token_logits_together(prompts[::-1]), alone.flip(0), atol=1e-4, rtol=1e-4)


def test_texts_are_those_of_each_prompt_alone(
    backbone: Any, prompts: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where one ends before the others: what the first says third ends an answer here."""
    alone = [backbone.generate(prompt, 6).text for prompt in prompts]
    assert [made.text for made in backbone.generate_together(prompts, 6)] == alone
    third = greedy_without_cache(backbone, prompts[0], 3)[2]
    monkeypatch.setattr(backbone.model.generation_config, "eos_token_id", third)
    early = [backbone.generate(prompt, 6).text for prompt in prompts]
    assert early != alone
    assert [made.text for made in backbone.generate_together(prompts, 6)] == early
