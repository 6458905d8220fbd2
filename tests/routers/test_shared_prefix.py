"""Questions about one video may continue from one another: the answers are those of each question alone, in every family."""

from typing import Any

import pytest
import torch

from tests.routers.tiny_backbones import SQUARE, all_kept, some_kept, video, write_tiny
from videorouter.routers.backbones.loading import load_backbone
from videorouter.routers.backbones.prompt import SharedPrefix

QUESTIONS = ("What is shown?", "What is shown first, and where?", "Why?", "What is shown?")


@pytest.fixture(scope="module", params=["internvl", "qwen2_5_vl", "qwen3_vl", "llava_onevision"])
def backbone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = write_tiny(tmp_path_factory.mktemp(request.param) / "model", request.param)
    return load_backbone(str(folder), **SQUARE.get(request.param, {}))


def ran(backbone: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by the tokens of every run of the text model."""
    counts: list[int] = []
    model = backbone.model.model.language_model
    forward = model.forward

    def counting(*args: Any, **given: Any) -> Any:
        counts.append(given["inputs_embeds"].shape[1])
        return forward(*args, **given)

    monkeypatch.setattr(model, "forward", counting)
    return counts


def test_logits_are_those_of_the_question_alone(backbone: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, shared = backbone.encode_frames(video(4)), SharedPrefix()
    prompts = [backbone.embed_prompt(all_kept(tokens), question, (0.5, 1.5, 2.5, 3.5)) for question in QUESTIONS]
    alone = [backbone.next_token_logits(prompt) for prompt in prompts]
    counts = ran(backbone, monkeypatch)
    together = [backbone.next_token_logits(prompt, shared=shared) for prompt in prompts]
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)
    assert counts[0] == len(prompts[0])
    assert all(count < len(prompt) - len(prompt.visual) for count, prompt in zip(counts[1:], prompts[1:], strict=True))


def test_answers_are_those_of_the_question_alone(backbone: Any) -> None:
    tokens, shared = backbone.encode_frames(video(2)), SharedPrefix()
    for question in QUESTIONS:
        prompt = backbone.embed_prompt(all_kept(tokens), question, (0.5, 1.5))
        assert backbone.generate(prompt, 6, shared=shared).text == backbone.generate(prompt, 6).text


def test_other_tokens_share_nothing(backbone: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many tokens, of other frames: what a router keeps for the next question."""
    tokens, shared = backbone.encode_frames(video(4)), SharedPrefix()
    counts = ran(backbone, monkeypatch)
    for places in (torch.arange(0, 12), torch.arange(1, 13), torch.arange(0, 11)):
        prompt = backbone.embed_prompt(some_kept(tokens, places), "What is shown?", (0.5, 1.5, 2.5, 3.5))
        made = backbone.next_token_logits(prompt, shared=shared)
        assert counts[-1] == len(prompt)
        torch.testing.assert_close(made, backbone.next_token_logits(prompt), atol=1e-4, rtol=1e-4)


def test_other_speech_between_the_frames_shares_nothing(backbone: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, shared = backbone.encode_frames(video(4)), SharedPrefix()
    frames, counts = len(tokens), ran(backbone, monkeypatch)
    for speech, question, again in (("one", "Why?", False), ("one", "Where?", True), ("two", "Where?", False)):
        written = ["", f"{speech}\n", *([""] * (frames - 1))]
        prompt = backbone.embed_prompt(all_kept(tokens), question, (0.5, 1.5, 2.5, 3.5)[:frames], written)
        made = backbone.next_token_logits(prompt, shared=shared)
        assert (counts[-1] < len(prompt) - len(prompt.visual)) == again
        torch.testing.assert_close(made, backbone.next_token_logits(prompt), atol=1e-4, rtol=1e-4)
