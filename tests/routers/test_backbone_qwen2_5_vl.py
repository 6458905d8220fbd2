"""Qwen2.5-VL: the class itself where nothing is compressed, its M-RoPE positions sliced where something is."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.routers.tiny_backbones import (
    all_kept,
    attention_by_eager,
    greedy_without_cache,
    some_kept,
    tiny_tokenizer,
    video,
    write_tiny,
)
from videorouter.routers.backbones.loading import load_backbone
from videorouter.routers.backbones.temporal import merged_seconds

SIDE = 112  # 4x4 tokens


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = write_tiny(tmp_path_factory.mktemp("qwen") / "model", "qwen2_5_vl")
    return load_backbone(str(folder), frame_size=SIDE)


def own_inputs(backbone: Any, frames: Any, seconds: Any, text: str) -> dict[str, Any]:
    """What the class's processor hands to the class, written out."""
    pixels, grid = backbone._patches(frames)
    count = int(grid.prod()) // 4
    content = f"<|vision_start|>{'<|video_pad|>' * count}<|vision_end|>{text}"
    prompt = backbone.tokenizer.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )
    ids = backbone.tokenizer(prompt, add_special_tokens=False, return_tensors="pt").input_ids
    spacing = [(seconds[-1] - seconds[0]) / (len(seconds) - 1)] if seconds else None
    return {
        "input_ids": ids, "attention_mask": torch.ones_like(ids), "pixel_values_videos": pixels,
        "video_grid_thw": grid, "mm_token_type_ids": 2 * (ids == backbone.video_token_id).int(),
        **({"second_per_grid_ts": torch.tensor(spacing)} if spacing else {}),
    }  # fmt: skip


@torch.no_grad()
@pytest.mark.parametrize("seconds", [None, (0.0, 1.7, 3.4, 5.1, 6.8, 8.5)])
def test_uncompressed_logits_and_generation_are_the_class_own(backbone: Any, seconds: Any) -> None:
    frames, shown = video(6), merged_seconds(seconds, 2) if seconds else None
    tokens = backbone.encode_frames(frames)
    assert tokens.shape == (3, 16, 64)
    prompt = backbone.embed_prompt(all_kept(tokens), "What is shown?", shown)
    given = own_inputs(backbone, frames, shown, "What is shown?")
    own = backbone.model(**given).logits[0, -1]
    torch.testing.assert_close(backbone.next_token_logits(prompt), own, atol=1e-4, rtol=1e-4)
    made = backbone.model.generate(**given, max_new_tokens=12, do_sample=False)[0, given["input_ids"].shape[1] :]
    assert backbone.generate(prompt, 12).text == backbone.tokenizer.decode(made, skip_special_tokens=True).strip()


def test_positions_are_those_of_the_whole_video_with_the_dropped_tokens_left_out(backbone: Any) -> None:
    tokens = torch.randn(5, 16, 64)
    whole = backbone.embed_prompt(all_kept(tokens), "Why?")
    places = torch.tensor([3, 16, 17, 31, 50])  # the last frame is gone altogether
    kept = backbone.embed_prompt(some_kept(tokens, places), "Why?")
    expected = torch.cat(
        [
            whole.position_ids[..., : int(whole.visual[0])],
            whole.position_ids[..., whole.visual[places]],
            whole.position_ids[..., int(whole.visual[-1]) + 1 :],
        ],
        dim=-1,
    )
    assert torch.equal(kept.position_ids, expected)
    assert kept.next_position == whole.next_position
    assert torch.equal(kept.embeddings[0, kept.visual], tokens.flatten(0, 1)[places])


def test_fractions_of_a_second_count(backbone: Any) -> None:
    """Two positions a second: patches of 1.6 seconds begin at 0, 3.2, 6.4 (transformers before 5.18 took 1 for 1.6)."""
    tokens = torch.randn(3, 16, 64)
    prompt = backbone.embed_prompt(all_kept(tokens), "Why?", (0.4, 2.0, 3.6))
    first = prompt.position_ids[0, 0, prompt.visual[::16]]
    assert (first - first[0]).tolist() == [0, 3, 6]


@pytest.mark.parametrize("policy", ["original", "contiguous"])
def test_generation_after_pruning_is_that_of_a_loop_without_cache(backbone: Any, policy: Any) -> None:
    tokens = backbone.encode_frames(video(8))
    pruned = replace(some_kept(tokens, torch.tensor([0, 5, 17, 18, 40, 63])), positions=policy)
    prompt = backbone.embed_prompt(pruned, "What happens?", (0.0, 2.0, 4.0, 6.0))
    expected = backbone.tokenizer.decode(greedy_without_cache(backbone, prompt, 6), skip_special_tokens=True)
    assert backbone.generate(prompt, 6).text == expected.strip()


def test_attention_is_that_of_the_eager_kernel(backbone: Any) -> None:
    tokens = backbone.encode_frames(video(6))
    prompt = backbone.embed_prompt(some_kept(tokens, torch.arange(0, 48, 3)), "Where is the long red line?")
    for layer in (0, 3):
        seen = backbone.inspect(prompt, layer, 5)
        torch.testing.assert_close(seen.attention, attention_by_eager(backbone, prompt, layer), atol=1e-4, rtol=0)
        assert seen.text == backbone.generate(prompt, 5).text


def test_frames_come_in_pairs_and_chunks_change_nothing(backbone: Any) -> None:
    tokens = backbone.encode_frames(video(7))
    assert backbone.frames_per_patch == 2
    assert len(tokens) == 4
    torch.testing.assert_close(backbone.encode_frames(video(7), frames_at_once=3), tokens, atol=1e-5, rtol=1e-5)


def test_patches_are_those_of_the_image_processor(backbone: Any) -> None:
    """A frame beside itself is how the image processor makes a picture two frames deep."""
    import numpy as np
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    frame = video(1, SIDE, SIDE)
    made = Qwen2VLImageProcessorPil()(
        images=list(frame), size={"shortest_edge": 1, "longest_edge": SIDE**2}, return_tensors="pt"
    )
    pixels, grid = backbone._patches(np.repeat(frame, 2, axis=0))
    assert grid.tolist() == made.image_grid_thw.tolist()
    torch.testing.assert_close(pixels, made.pixel_values.view_as(pixels), atol=1e-5, rtol=0)


def test_frames_that_cut_a_token_are_refused(backbone: Any) -> None:
    with pytest.raises(ValueError, match=r"multiple of 28"):
        load_backbone(backbone.path, frame_size=100)


def test_seconds_that_miss_frames_are_refused(backbone: Any) -> None:
    with pytest.raises(ValueError, match=r"2 frames' seconds .* frame 2"):
        backbone.embed_prompt(all_kept(torch.randn(3, 16, 64)), "Why?", (0.0, 1.0))


@torch.no_grad()
def test_the_shadow_stack_is_the_first_layers_at_plain_positions(backbone: Any) -> None:
    words = backbone.embed_text("Which symbol?").unsqueeze(0)
    states = backbone.model.model.language_model(inputs_embeds=words, output_hidden_states=True).hidden_states
    assert torch.equal(backbone.shadow_stack(2).text(words), states[2])


def test_the_true_tokenizer_and_template_lay_the_video_out(backbone: Any, real_data: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    true = AutoTokenizer.from_pretrained(real_data / "tokenizers" / "qwen2.5")
    if true.chat_template is None:
        true.chat_template = (real_data / "tokenizers" / "chat_templates" / "qwen2.5.jinja").read_text()
    loaded: Any = load_backbone(str(write_tiny(tmp_path / "m", "qwen2_5_vl", tokenizer=true)), frame_size=SIDE)
    tokens = loaded.encode_frames(video(4))
    prompt = loaded.embed_prompt(all_kept(tokens), "What is shown?")
    given = own_inputs(loaded, video(4), None, "What is shown?")
    with torch.no_grad():
        own = loaded.model(**given).logits[0, -1]
    torch.testing.assert_close(loaded.next_token_logits(prompt), own, atol=1e-4, rtol=1e-4)
    assert len(true) > len(tiny_tokenizer())
