"""Qwen3-VL: the class itself where nothing is compressed, deepstack features and timestamps that follow what is kept."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.routers.tiny_backbones import (
    all_kept,
    attention_by_eager,
    greedy_without_cache,
    some_kept,
    video,
    write_tiny,
)
from videorouter.routers.backbones.loading import load_backbone
from videorouter.routers.routing.pooling import pool_to

SIDE = 128  # 4x4 tokens
SECONDS = (0.5, 2.5, 4.5)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = write_tiny(tmp_path_factory.mktemp("qwen") / "model", "qwen3_vl")
    return load_backbone(str(folder), frame_size=SIDE)


@torch.no_grad()
def test_uncompressed_logits_and_generation_are_the_class_own(backbone: Any) -> None:
    frames = video(6)
    pixels, grid = backbone._patches(frames)
    shown = "".join(f"<{second:.1f} seconds><|vision_start|>{'<|video_pad|>' * 16}<|vision_end|>" for second in SECONDS)
    text = backbone.tokenizer.apply_chat_template(
        [{"role": "user", "content": shown + "What is shown?"}], tokenize=False, add_generation_prompt=True
    )
    ids = backbone.tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
    given = {
        "input_ids": ids, "attention_mask": torch.ones_like(ids), "pixel_values_videos": pixels,
        "video_grid_thw": grid, "mm_token_type_ids": 2 * (ids == backbone.video_token_id).int(),
    }  # fmt: skip
    tokens = backbone.encode_frames(frames)
    assert tokens.shape == (3, 16, 3 * 64) == (3, 16, backbone.channels)
    prompt = backbone.embed_prompt(all_kept(tokens), "What is shown?", SECONDS)
    own = backbone.model(**given).logits[0, -1]
    torch.testing.assert_close(backbone.next_token_logits(prompt), own, atol=1e-4, rtol=1e-4)
    made = backbone.model.generate(**given, max_new_tokens=12, do_sample=False)[0, ids.shape[1] :]
    assert backbone.generate(prompt, 12).text == backbone.tokenizer.decode(made, skip_special_tokens=True).strip()


@torch.no_grad()
def test_deepstack_features_matter_and_are_kept_or_pooled_with_their_token(backbone: Any) -> None:
    tokens = backbone.encode_frames(video(4))
    kept = some_kept(tokens, torch.tensor([1, 20, 21]))
    prompt = backbone.embed_prompt(kept, "Why?")
    assert [len(level) for level in prompt.deepstack] == [3, 3]
    assert torch.equal(torch.cat([prompt.embeddings[0, prompt.visual], *prompt.deepstack], -1), kept.embeddings)
    without = replace(prompt, deepstack=())
    assert not torch.allclose(backbone.next_token_logits(prompt), backbone.next_token_logits(without), atol=1e-3)
    pooled = pool_to(tokens, (2, 2), backbone.grid)
    levels = [pool_to(level, (2, 2), backbone.grid) for level in tokens.split(64, -1)]
    torch.testing.assert_close(pooled, torch.cat(levels, -1))


def test_a_dropped_frame_leaves_with_its_timestamp_and_the_others_stay_where_they_were(backbone: Any) -> None:
    tokens = torch.randn(3, 16, 192)
    whole = backbone.embed_prompt(all_kept(tokens), "Why?", SECONDS)
    places = torch.tensor([2, 40])  # nothing of the frame in the middle
    kept = backbone.embed_prompt(some_kept(tokens, places), "Why?", SECONDS)
    assert torch.equal(kept.position_ids[..., kept.visual], whole.position_ids[..., whole.visual[places]])
    text = len(kept) - int(kept.visual[-1]) - 1
    assert torch.equal(kept.position_ids[..., -text:], whole.position_ids[..., -text:])
    assert kept.next_position == whole.next_position
    dropped = len(backbone.tokenizer("<2.5 seconds><|vision_start|><|vision_end|>").input_ids)
    assert len(kept) == len(whole) - 46 - dropped


@pytest.mark.parametrize("policy", ["original", "contiguous"])
def test_generation_after_pruning_is_that_of_a_loop_without_cache(backbone: Any, policy: Any) -> None:
    tokens = backbone.encode_frames(video(6))
    pruned = replace(some_kept(tokens, torch.tensor([0, 5, 17, 18, 40])), positions=policy)
    prompt = backbone.embed_prompt(pruned, "What happens?", SECONDS)
    expected = backbone.tokenizer.decode(greedy_without_cache(backbone, prompt, 6), skip_special_tokens=True)
    assert backbone.generate(prompt, 6).text == expected.strip()


def test_attention_is_that_of_the_eager_kernel(backbone: Any) -> None:
    tokens = backbone.encode_frames(video(6))
    prompt = backbone.embed_prompt(some_kept(tokens, torch.arange(0, 48, 3)), "Where is the long red line?")
    for layer in (0, 3):
        seen = backbone.inspect(prompt, layer, 3)
        torch.testing.assert_close(seen.attention, attention_by_eager(backbone, prompt, layer), atol=1e-4, rtol=0)


def test_chunks_change_nothing(backbone: Any) -> None:
    torch.testing.assert_close(
        backbone.encode_frames(video(5), frames_at_once=2), backbone.encode_frames(video(5)), atol=1e-5, rtol=1e-5
    )


@torch.no_grad()
def test_the_shadow_stack_is_the_first_layers_without_deepstack(backbone: Any) -> None:
    words = torch.randn(1, 9, 64)
    states = backbone.model.model.language_model(inputs_embeds=words, output_hidden_states=True).hidden_states
    torch.testing.assert_close(backbone.shadow_stack(2).text(words), states[2])
