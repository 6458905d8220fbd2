"""What is written between frames stands there in every family, whatever is kept; nothing written changes no prompt."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.routers.tiny_backbones import all_kept, some_kept, video, write_tiny
from videorouter.routers.backbones.layout import ALONE, Dialogue, texts_around
from videorouter.routers.backbones.loading import load_backbone

WRITTEN = ("a\n", "", "b\n", "é c\n", "d\n")
SECONDS = (0.5, 1.5, 2.5, 3.5)
AROUND = Dialogue("Why?", (("user", "Why?"), ("assistant", "d\nWhy?")), (("assistant", "B"), ("user", "And then?")))
"""What is said before the video's own message holds that message's words, too."""
KEPT = {
    "internvl": "a\nFrame-1: <img>**</img>\nb\né c\nFrame-2: <img>*</img>\nd\nWhy?",
    "llava_onevision": "a\n**\nb\né c\n*|\nd\nWhy?",
    "qwen2_5_vl": "a\n<|vision_start|>**<|vision_end|>b\né c\n<|vision_start|>*<|vision_end|>d\nWhy?",
    "qwen3_vl": "a\n<0.5 seconds><|vision_start|>**<|vision_end|>b\né c\n<3.5 seconds><|vision_start|>*<|vision_end|>d\nWhy?",
}
"""Two tokens of the first of four frames and one of the last: `*` is one, `|` LLaVA's newline."""
WHOLE = {
    "internvl": "a\nFrame-1: <img>{frame}</img>\nFrame-2: <img>{frame}</img>\nb\nFrame-3: <img>{frame}</img>\né c\n"
    "Frame-4: <img>{frame}</img>\nd\nWhy?",
    "llava_onevision": "a\n{frame}{frame}\nb\n{frame}\né c\n{frame}{newline}\nd\nWhy?",
    "qwen2_5_vl": "a\n<|vision_start|>{frame}{frame}<|vision_end|>b\n<|vision_start|>{frame}<|vision_end|>é c\n"
    "<|vision_start|>{frame}<|vision_end|>d\nWhy?",
    "qwen3_vl": "a\n<0.5 seconds><|vision_start|>{frame}<|vision_end|><1.5 seconds><|vision_start|>{frame}<|vision_end|>b\n"
    "<2.5 seconds><|vision_start|>{frame}<|vision_end|>é c\n<3.5 seconds><|vision_start|>{frame}<|vision_end|>d\nWhy?",
}
HOLDERS = {
    "internvl": "<IMG_CONTEXT>", "llava_onevision": "<video>", "qwen2_5_vl": "<|video_pad|>", "qwen3_vl": "<|video_pad|>",
}  # fmt: skip
SIDES = {"qwen2_5_vl": 112, "qwen3_vl": 128}
"""Frames of 4x4 tokens."""


@pytest.fixture(scope="module", params=KEPT)
def backbone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = write_tiny(tmp_path_factory.mktemp(request.param) / request.param, request.param)
    more: dict[str, Any] = {"frame_size": SIDES[request.param]} if request.param in SIDES else {}
    return load_backbone(str(folder), **more)


def family(backbone: Any) -> str:
    return backbone.path.rsplit("/", 1)[-1]


def policies(backbone: Any) -> list[Any]:
    return ["original", "contiguous"] if "qwen" in family(backbone) else [None]


def read(backbone: Any, prompt: Any) -> str:
    """The prompt by its embeddings: `*` for visual tokens, `|` for what is no word."""
    words = backbone.model.get_input_embeddings().weight
    alike = (prompt.embeddings[0, :, None] == words).all(-1)
    ids = torch.where(alike.any(-1), alike.int().argmax(-1), backbone.token_id("|"))
    ids[prompt.visual] = backbone.token_id("*")
    return str(backbone.tokenizer.decode(ids))


def test_what_stood_around_a_dropped_frame_stays_between_the_others() -> None:
    assert texts_around("abcde", [0, 3]) == ["a", "bcd", "e"]
    assert texts_around("abcde", [1, 2], 4) == ["ab", "c", "de"]
    assert texts_around("abc", []) == ["abc"]
    assert texts_around(None, [1, 5], 9) == ["", "", ""]


@pytest.mark.parametrize(("frames", "total"), [([0, 4], None), ([0], 3), ([0], 5)])
def test_another_number_of_texts_is_refused_with_a_remedy(frames: list[int], total: int | None) -> None:
    with pytest.raises(ValueError, match="one to stand before each frame and one after the last"):
        texts_around("abcde", frames, total)


def test_each_family_writes_it_between_the_frames_that_were_kept(backbone: Any) -> None:
    tokens = torch.randn(4, backbone.tokens_per_frame, backbone.channels)
    kept = some_kept(tokens, torch.tensor([0, 2, 3 * backbone.tokens_per_frame + 1]))
    for policy in policies(backbone):
        prompt = backbone.embed_prompt(replace(kept, positions=policy), "Why?", SECONDS, WRITTEN)
        content = read(backbone, prompt).removeprefix("<|im_start|>user\n")
        assert content == KEPT[family(backbone)] + "<|im_end|>\n<|im_start|>assistant\n"
        assert torch.equal(prompt.embeddings[0, prompt.visual], kept.embeddings[:, : backbone.hidden_size])


def test_nothing_written_is_the_prompt_without(backbone: Any) -> None:
    tokens = torch.randn(4, backbone.tokens_per_frame, backbone.channels)
    kept = some_kept(tokens, torch.tensor([0, 2, 3 * backbone.tokens_per_frame + 1]))
    for policy in policies(backbone):
        without = backbone.embed_prompt(replace(kept, positions=policy), "Why?", SECONDS)
        empty = backbone.embed_prompt(replace(kept, positions=policy), "Why?", SECONDS, [""] * 5)
        assert torch.equal(empty.embeddings, without.embeddings)
        assert (empty.position_ids is None and without.position_ids is None) or torch.equal(
            empty.position_ids, without.position_ids
        )


@torch.no_grad()
@pytest.mark.parametrize("dialogue", [ALONE, AROUND])
def test_uncompressed_it_is_the_class_itself_on_the_same_text(backbone: Any, dialogue: Dialogue) -> None:
    """Qwen2.5-VL's class takes each run of patches that text cuts off as a video of its own."""
    name, frames = family(backbone), video(4 * backbone.frames_per_patch)
    holder = HOLDERS[name]
    content = WHOLE[name].format(frame=holder * backbone.tokens_per_frame, newline=holder)
    said = [*dialogue.before, ("user", content), *dialogue.after]
    said = [("system", dialogue.system), *said] if dialogue.system is not None else said
    text = "".join(f"<|im_start|>{role}\n{words}<|im_end|>\n" for role, words in said) + "<|im_start|>assistant\n"
    ids = backbone.tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
    given: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if name == "internvl":
        given["pixel_values"] = backbone._pixels(frames)
    elif name == "llava_onevision":
        given["pixel_values_videos"] = backbone._pixels(frames)[None]
    else:
        patches, grid = backbone._patches(frames)
        runs = torch.tensor([[count, *grid[0, 1:].tolist()] for count in (2, 1, 1)])
        given |= {"pixel_values_videos": patches, "video_grid_thw": runs if name == "qwen2_5_vl" else grid}
        given |= {"mm_token_type_ids": 2 * (ids == backbone.video_token_id).int()}
        given |= {"second_per_grid_ts": torch.ones(3)} if name == "qwen2_5_vl" else {}
    prompt = backbone.embed_prompt(all_kept(backbone.encode_frames(frames)), "Why?", SECONDS, WRITTEN, dialogue)
    own = backbone.model(**given).logits[0, -1]
    torch.testing.assert_close(backbone.next_token_logits(prompt), own, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("backbone", ["qwen2_5_vl", "qwen3_vl"], indirect=True)
def test_original_positions_are_those_of_the_whole_prompt_with_all_that_is_written(backbone: Any) -> None:
    tokens = torch.randn(4, 16, backbone.channels)
    places = torch.tensor([3, 5, 48, 63])
    whole = backbone.embed_prompt(all_kept(tokens), "Why?", SECONDS, WRITTEN)
    kept = backbone.embed_prompt(some_kept(tokens, places), "Why?", SECONDS, WRITTEN)
    assert torch.equal(kept.position_ids[..., kept.visual], whole.position_ids[..., whole.visual[places]])
    text = len(kept) - int(kept.visual[-1]) - 1
    assert torch.equal(kept.position_ids[..., -text:], whole.position_ids[..., -text:])
    assert kept.next_position == whole.next_position


@pytest.mark.parametrize("place", ["system", "before", "after"])
def test_a_dialogue_that_holds_the_placeholder_is_refused(backbone: Any, place: str) -> None:
    said = f"see {HOLDERS[family(backbone)]}"
    turns = (("user", said), ("assistant", "b"))
    dialogue = {"system": Dialogue(said), "before": Dialogue(before=turns), "after": Dialogue(after=turns)}[place]
    tokens = torch.randn(1, backbone.tokens_per_frame, backbone.channels)
    with pytest.raises(ValueError, match="stands for visual tokens"):
        backbone.embed_prompt(all_kept(tokens), "Why?", (0.5,), dialogue=dialogue)


def test_speech_that_holds_the_placeholder_is_refused(backbone: Any) -> None:
    holder = HOLDERS[family(backbone)]
    tokens = torch.randn(1, backbone.tokens_per_frame, backbone.channels)
    with pytest.raises(ValueError, match="stands for visual tokens"):
        backbone.embed_prompt(all_kept(tokens), "Why?", (0.5,), [f"see {holder}\n", ""])
