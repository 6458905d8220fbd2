"""InternVL over each of its text towers, and with the true tokenizer and chat template."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from tests.routers.tiny_backbones import (
    all_kept,
    attention_by_eager,
    greedy_without_cache,
    some_kept,
    video,
    write_tiny,
)
from videorouter.routers.backbones.loading import load_backbone
from videorouter.routers.backbones.protocol import FrameSpan

TEXT_ENDS = ("embed_tokens", "norm", "rotary_emb")


@pytest.fixture(scope="module", params=["llama", "qwen2", "qwen3"])
def backbone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """InternVL 2.5 has InternLM towers (llama in transformers' format) and Qwen2 ones, 3 Qwen2, 3.5 Qwen3."""
    folder = write_tiny(tmp_path_factory.mktemp(request.param) / "model", "internvl", request.param)
    return load_backbone(str(folder))


@torch.no_grad()
def check_it_is_the_class(backbone: Any, question: str) -> None:
    frames = video(3)
    text = backbone.prompt_text([FrameSpan(i, 16) for i in range(3)], question)
    ids = backbone.tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
    given = {
        "input_ids": ids, "attention_mask": torch.ones_like(ids), "pixel_values": backbone._pixels(frames),
    }  # fmt: skip
    prompt = backbone.embed_prompt(all_kept(backbone.encode_frames(frames)), question)
    own = backbone.model(**given).logits[0, -1]
    torch.testing.assert_close(backbone.next_token_logits(prompt), own, atol=1e-4, rtol=1e-4)
    made = backbone.model.generate(**given, max_new_tokens=12, do_sample=False)[0, ids.shape[1] :]
    assert backbone.generate(prompt, 12).text == backbone.tokenizer.decode(made, skip_special_tokens=True).strip()


def test_uncompressed_it_is_the_class_itself(backbone: Any) -> None:
    check_it_is_the_class(backbone, "What is shown?")


def test_with_the_true_tokenizer_and_template_it_is_the_class_itself(real_data: Path, tmp_path: Path) -> None:
    true = AutoTokenizer.from_pretrained(real_data / "tokenizers" / "internvl3")
    true.chat_template = (real_data / "tokenizers" / "chat_templates" / "internvl3_hf.jinja").read_text()
    loaded: Any = load_backbone(str(write_tiny(tmp_path / "model", "internvl", tokenizer=true)))
    check_it_is_the_class(loaded, "Which of these is shown first?\nOptions:\nA. a cat  \nB. été, 日本")
    text = loaded.prompt_text([FrameSpan(0, 2)], "Why?")
    assert "Frame-1: <img><IMG_CONTEXT><IMG_CONTEXT></img>\nWhy?" in text
    assert text.endswith("<|im_start|>assistant\n")


def test_generation_after_pruning_is_that_of_a_loop_without_cache(backbone: Any) -> None:
    tokens = backbone.encode_frames(video(3))
    prompt = backbone.embed_prompt(some_kept(tokens, torch.tensor([0, 5, 17, 18, 40])), "What happens?")
    assert len(prompt.visual) == 5
    expected = backbone.tokenizer.decode(greedy_without_cache(backbone, prompt, 6), skip_special_tokens=True)
    assert backbone.generate(prompt, 6).text == expected.strip()


def test_attention_is_that_of_the_eager_kernel(backbone: Any) -> None:
    prompt = backbone.embed_prompt(all_kept(backbone.encode_frames(video(3))), "Where is the long red line?")
    for layer in (0, 3):
        seen = backbone.inspect(prompt, layer, 3)
        expected = attention_by_eager(backbone, prompt, layer)
        assert expected.max() > 4 * expected.min()
        torch.testing.assert_close(seen.attention, expected, atol=1e-4, rtol=0)


@torch.no_grad()
def test_entropies_are_of_the_whole_vocabulary_one_a_token(backbone: Any) -> None:
    prompt = backbone.embed_prompt(all_kept(backbone.encode_frames(video(2))), "What?")
    seen = backbone.inspect(prompt, 1, 4)
    chances = backbone.next_token_logits(prompt).softmax(-1)
    torch.testing.assert_close(seen.entropies[0], -(chances * chances.log()).sum(), atol=1e-4, rtol=1e-4)
    assert 1 <= len(seen.entropies) <= 4
    assert seen.text == backbone.generate(prompt, 4).text


def test_an_answer_prefix_is_part_of_the_prompt(backbone: Any) -> None:
    prompt = backbone.embed_prompt(all_kept(backbone.encode_frames(video(1))), "What?")
    whole = prompt.followed_by(backbone.embed_text("The"))
    assert torch.equal(backbone.next_token_logits(prompt, "The"), backbone.next_token_logits(whole))


def test_a_question_that_holds_the_placeholder_is_refused(backbone: Any) -> None:
    with pytest.raises(ValueError, match="stands for visual tokens"):
        backbone.embed_prompt(all_kept(torch.randn(1, 16, 64)), "What is <IMG_CONTEXT>?")


def test_a_layer_that_is_not_there_is_refused(backbone: Any) -> None:
    prompt = backbone.embed_prompt(all_kept(torch.randn(1, 16, 64)), "What?")
    with pytest.raises(ValueError, match=r"layer 4 is outside 0\.\.3"):
        backbone.inspect(prompt, 4, 1)


def test_options_of_another_family_are_refused(backbone: Any) -> None:
    with pytest.raises(ValueError, match="no option frame_size"):
        load_backbone(backbone.path, frame_size=448)


@pytest.mark.parametrize("spread", ["auto", "by hand"])
def test_a_model_spread_over_devices_is_the_same_model(backbone: Any, spread: str) -> None:
    """A part on disk installs the hooks on every module that several GPUs would."""
    layers = {f"model.language_model.layers.{i}": "disk" if i == 3 else "cpu" for i in range(4)}
    others = ["vision_tower", "multi_modal_projector", *(f"language_model.{n}" for n in TEXT_ENDS)]
    by_hand = {**layers, "lm_head": "cpu", **{f"model.{name}": "cpu" for name in others}}
    mapped: Any = load_backbone(backbone.path, device_map="auto" if spread == "auto" else by_hand)
    assert mapped.device == torch.device("cpu")
    tokens = mapped.encode_frames(video(2))
    torch.testing.assert_close(tokens, backbone.encode_frames(video(2)))
    prompt = mapped.embed_prompt(all_kept(tokens), "What?")
    torch.testing.assert_close(mapped.next_token_logits(prompt), backbone.next_token_logits(prompt))
    torch.testing.assert_close(mapped.inspect(prompt, 3, 2).attention, backbone.inspect(prompt, 3, 2).attention)
    words = mapped.embed_text("Why?").unsqueeze(0)
    for count in (2, 4):  # the fourth lies on disk where it was put by hand
        torch.testing.assert_close(mapped.shadow_stack(count).text(words), backbone.shadow_stack(count).text(words))
    with pytest.raises(ValueError, match="device_map"):
        mapped.to(torch.device("cpu"))
