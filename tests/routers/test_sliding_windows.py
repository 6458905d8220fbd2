"""Decoders with sliding windows (GPT-OSS, in InternVL3.5-20B-A4B): frames longer than the window are routed and cropped right."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.routers.tiny_backbones import all_kept, greedy_without_cache, video, write_tiny
from videorouter.routers.backbones.loading import load_backbone
from videorouter.routers.backbones.prompt import SharedPrefix
from videorouter.routers.systems.adapttoken import AdaptToken
from videorouter.routers.systems.query import Query

WINDOW = 8
"""Of tokens; a frame has 16."""


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Any:
    text = {
        "head_dim": 16, "sliding_window": WINDOW, "num_local_experts": 4, "num_experts_per_tok": 2,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
    }  # fmt: skip
    folder: Path = write_tiny(tmp_path_factory.mktemp("window") / "model", "internvl", "gpt_oss", text=text)
    return load_backbone(str(folder), device="cpu")


@torch.no_grad()
def whole(backbone: Any, embeddings: torch.Tensor) -> torch.Tensor:
    """States of one pass without a cache."""
    language = backbone.model.model.language_model
    return language(inputs_embeds=embeddings, use_cache=False).last_hidden_state


def test_a_question_after_each_frame_is_one_pass_over_both(backbone: Any) -> None:
    stack, tokens = backbone.shadow_stack(4), backbone.encode_frames(video(3))
    states, cache = stack.frames(tokens)
    for question in ("What is shown here, and why?", "Who?"):  # the second reads what the first left behind
        words = backbone.embed_text(question)
        made = stack.question_after_frames(words, cache, len(tokens))
        for frame, image in enumerate(tokens):
            both = stack.stack(inputs_embeds=torch.cat([image, words])[None], use_cache=False).last_hidden_state[0]
            torch.testing.assert_close(torch.cat([states[frame], made[frame]]), both, atol=1e-4, rtol=1e-4)


def test_prompts_share_a_video_and_decode_as_alone(backbone: Any) -> None:
    tokens, shared = all_kept(backbone.encode_frames(video(3))), SharedPrefix()
    prompts = [backbone.embed_prompt(tokens, text) for text in ("What is shown?", "Why?", "What comes first, then?")]
    for prompt in prompts:
        expected = backbone.model.lm_head(whole(backbone, prompt.embeddings)[:, -1])[0]
        made = backbone.next_token_logits(prompt, shared=shared)
        torch.testing.assert_close(made, expected, atol=1e-4, rtol=1e-4)
    alone = [
        backbone.tokenizer.decode(greedy_without_cache(backbone, prompt, 5), skip_special_tokens=True).strip()
        for prompt in prompts
    ]
    assert [backbone.generate(prompt, 5, shared=shared).text for prompt in prompts] == alone
    assert [made.text for made in backbone.generate_together(prompts, 5)] == alone


def test_text_is_that_of_generate(backbone: Any) -> None:
    prompt = backbone.embed_prompt(all_kept(backbone.encode_frames(video(2))), "What is shown?")
    made = backbone.model.generate(inputs_embeds=prompt.embeddings, max_new_tokens=6, do_sample=False)
    assert backbone.generate(prompt, 6).text == backbone.tokenizer.decode(made[0], skip_special_tokens=True).strip()


def test_attention_is_read_at_a_layer_that_sees_all(backbone: Any) -> None:
    """AdaptToken's layer, where none was chosen, is the nearest without a window; a chosen one with a window is refused."""
    tokens, query = backbone.encode_frames(video(3)), Query("What is shown?")
    assert AdaptToken(backbone).compress(tokens, query, 24).tokens == 24
    with pytest.raises(ValueError, match="sliding window"):
        AdaptToken(backbone, layer=0).compress(tokens, query, 24)
