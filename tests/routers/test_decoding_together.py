"""Prompts decoded at once get what each gets alone, in every family and whatever stands beside them."""

from typing import Any

import pytest
import torch

from tests.routers.tiny_backbones import SQUARE, all_kept, greedy_without_cache, some_kept, video, write_tiny
from videorouter.routers.backbones.loading import load_backbone
from videorouter.routers.backbones.prompt import SharedPrefix

SECONDS = (0.5, 1.5, 2.5, 3.5)


@pytest.fixture(scope="module", params=["internvl", "qwen2_5_vl", "qwen3_vl", "llava_onevision"])
def backbone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = write_tiny(tmp_path_factory.mktemp(request.param) / "model", request.param)
    return load_backbone(str(folder), **SQUARE.get(request.param, {}))


@pytest.fixture(scope="module")
def prompts(backbone: Any) -> list[Any]:
    """All tokens, some of them, other ones and a longer question."""
    tokens = backbone.encode_frames(video(4))
    return [
        backbone.embed_prompt(all_kept(tokens), "Why?", SECONDS),
        backbone.embed_prompt(some_kept(tokens, torch.arange(3, 11)), "What is shown?", SECONDS),
        backbone.embed_prompt(some_kept(tokens, torch.arange(0, 2)), "What is shown first, and where is it?", SECONDS),
    ]


def test_texts_are_those_of_each_prompt_alone(
    backbone: Any, prompts: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where one ends before the others: what the first says third ends an answer here."""
    alone = [backbone.generate(prompt, 6).text for prompt in prompts]
    assert len({len(prompt) for prompt in prompts}) == len(prompts)
    assert [made.text for made in backbone.generate_together(prompts, 6)] == alone
    assert [made.text for made in backbone.generate_together(prompts[::-1], 6)] == alone[::-1]
    third = greedy_without_cache(backbone, prompts[0], 3)[2]
    monkeypatch.setattr(backbone.model.generation_config, "eos_token_id", third)
    early = [backbone.generate(prompt, 6).text for prompt in prompts]
    assert early != alone
    assert [made.text for made in backbone.generate_together(prompts, 6)] == early


def test_questions_on_one_video_may_share_its_prefill(backbone: Any) -> None:
    tokens = backbone.encode_frames(video(2))
    questions = ("What is shown?", "What is shown first, and where?", "Why?")
    prompts = [backbone.embed_prompt(all_kept(tokens), question, SECONDS[:2]) for question in questions]
    alone = [backbone.generate(prompt, 6).text for prompt in prompts]
    assert [made.text for made in backbone.generate_together(prompts, 6, shared=SharedPrefix())] == alone


def test_one_token_each_is_the_prefills_alone(backbone: Any, prompts: list[Any]) -> None:
    made = backbone.generate_together(prompts, 1)
    assert [one.text for one in made] == [backbone.generate(prompt, 1).text for prompt in prompts]
    assert all(one.prefill_seconds > 0 for one in made)
