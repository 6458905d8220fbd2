"""LLaVA-OneVision is the class itself where nothing is compressed; LLaVA-Video's layout keeps its newlines."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn import functional

from tests.routers.tiny_backbones import (
    all_kept,
    attention_by_eager,
    greedy_without_cache,
    some_kept,
    video,
    write_tiny,
)
from videorouter.routers.backbones.loading import load_backbone


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """70 pixels, 5x5 patches: 3x3 tokens as LLaVA-OneVision pools, 2x2 as LLaVA-Video does (27 becomes 14 and 13)."""
    return str(write_tiny(tmp_path_factory.mktemp("llava") / "model", "llava_onevision"))


@pytest.fixture(scope="module")
def backbone(folder: str) -> Any:
    return load_backbone(folder)


@pytest.fixture(scope="module")
def gridded(folder: str) -> Any:
    return load_backbone(folder, newlines="grid")


def prompt_ids(backbone: Any, placeholders: int, text: str) -> torch.Tensor:
    content = "<video>" * placeholders + "\n" + text
    prompt = backbone.tokenizer.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )
    return backbone.tokenizer(prompt, add_special_tokens=False, return_tensors="pt").input_ids


@torch.no_grad()
def test_uncompressed_logits_and_generation_are_the_class_own(backbone: Any) -> None:
    frames = video(3)
    ids = prompt_ids(backbone, 3 * 9 + 1, "What is shown?")
    given = {
        "input_ids": ids, "attention_mask": torch.ones_like(ids),
        "pixel_values_videos": backbone._pixels(frames)[None],
    }  # fmt: skip
    prompt = backbone.embed_prompt(all_kept(backbone.encode_frames(frames)), "What is shown?")
    own = backbone.model(**given).logits[0, -1]
    torch.testing.assert_close(backbone.next_token_logits(prompt), own, atol=1e-4, rtol=1e-4)
    made = backbone.model.generate(**given, max_new_tokens=12, do_sample=False)[0, ids.shape[1] :]
    assert backbone.generate(prompt, 12).text == backbone.tokenizer.decode(made, skip_special_tokens=True).strip()


@torch.no_grad()
def test_the_grid_layout_ends_every_row_of_a_whole_frame_with_a_newline(gridded: Any) -> None:
    """Counted out independently: project, pool by 2, a newline after each of the two rows."""
    frames = video(2)
    model = gridded.model.model
    features = model.vision_tower(gridded._pixels(frames), output_hidden_states=True).hidden_states[-1]
    square = model.multi_modal_projector(features).transpose(1, 2).reshape(2, 64, 5, 5)
    pooled = functional.avg_pool2d(square, 2).permute(0, 2, 3, 1)
    rows = [[*row, model.image_newline] for frame in pooled for row in frame]
    shown = torch.stack([token for row in rows for token in row])
    ids = prompt_ids(gridded, len(shown), "What?")
    embeddings = gridded.model.get_input_embeddings()(ids).clone()
    embeddings[ids == gridded.video_token_id] = shown
    own = gridded.model(inputs_embeds=embeddings).logits[0, -1]
    prompt = gridded.embed_prompt(all_kept(gridded.encode_frames(frames)), "What?")
    torch.testing.assert_close(gridded.next_token_logits(prompt), own, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_a_frame_that_lost_tokens_keeps_all_newlines_behind_the_rest(gridded: Any) -> None:
    tokens = torch.randn(3, 4, 64)
    prompt = gridded.embed_prompt(some_kept(tokens, torch.tensor([1, 3, 4, 5, 6, 7])), "What?")
    start = int(prompt.visual[0])
    newline = (prompt.embeddings[0, start : prompt.text_start] == gridded.model.model.image_newline).all(-1)
    assert newline.tolist() == [False, False, True, True, False, False, True, False, False, True]
    assert torch.equal(prompt.embeddings[0, prompt.visual], tokens.flatten(0, 1)[[1, 3, 4, 5, 6, 7]])


def test_the_layout_is_read_from_the_config(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("grid") / "model"
    write_tiny(folder, "llava_onevision", mm_newline_position="grid")
    assert load_backbone(str(folder)).grid == (2, 2)


def test_generation_after_pruning_is_that_of_a_loop_without_cache(backbone: Any) -> None:
    tokens = backbone.encode_frames(video(3))
    prompt = backbone.embed_prompt(some_kept(tokens, torch.tensor([0, 5, 17, 18])), "What happens?")
    expected = backbone.tokenizer.decode(greedy_without_cache(backbone, prompt, 6), skip_special_tokens=True)
    assert backbone.generate(prompt, 6).text == expected.strip()


@pytest.mark.parametrize("layout", ["video", "grid"])
def test_attention_is_that_of_the_eager_kernel(folder: str, layout: str) -> None:
    backbone: Any = load_backbone(folder, newlines=layout)
    prompt = backbone.embed_prompt(all_kept(backbone.encode_frames(video(3))), "Where is the long red line?")
    for layer in (0, 3):
        seen = backbone.inspect(prompt, layer, 3)
        torch.testing.assert_close(seen.attention, attention_by_eager(backbone, prompt, layer), atol=1e-4, rtol=0)


def test_original_positions_are_refused(backbone: Any) -> None:
    with pytest.raises(ValueError, match="contiguous positions"):
        backbone.embed_prompt(replace(all_kept(torch.randn(1, 9, 64)), positions="original"), "Why?")
