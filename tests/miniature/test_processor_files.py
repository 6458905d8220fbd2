"""Other programs ask a base of ours as they ask InternVL: its processor files and template give them our own prompt."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoTokenizer

from tests.routers.processor_fixtures import (
    QUESTION,
    SHIPPED_PICTURES,
    SHIPPED_VIDEO,
    labelled_pictures,
    read_recorded,
    shown_frames,
)
from videorouter.miniature.bases import DENSE, ROBUST
from videorouter.miniature.pretraining.model import train_tokenizer
from videorouter.miniature.pretraining.processor_files import write_processor_files
from videorouter.routers.backbones.internvl import InternVLBackbone
from videorouter.routers.backbones.protocol import FrameSpan

SETTINGS = ("preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json")
START, END = "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture(params=["dense", "robust", "written now"])
def folder(request: pytest.FixtureRequest, base: Path) -> Path:
    return {"dense": DENSE, "robust": ROBUST}.get(request.param, base)


def rendered(folder: Path, content: Any) -> str:
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    message = {"role": "user", "content": content}
    return str(tokenizer.apply_chat_template([message], tokenize=False, add_generation_prompt=True))


def test_the_template_takes_a_string_and_a_list_of_parts(folder: Path) -> None:
    assert rendered(folder, "Which symbol?") == START + "Which symbol?" + END
    assert rendered(folder, [{"type": "text", "text": "Which symbol?"}]) == START + "Which symbol?" + END
    parts = [
        {"type": "text", "text": "Frame-1: "},
        {"type": "image"},
        {"type": "video"},
        {"type": "text", "text": "Why?"},
    ]
    assert rendered(folder, parts) == START + "Frame-1: <IMG_CONTEXT>\n<video>\nWhy?" + END


def test_a_base_carries_what_the_code_that_writes_bases_writes(folder: Path, tmp_path: Path) -> None:
    write_processor_files(tmp_path, AutoConfig.from_pretrained(folder))
    train_tokenizer().save_pretrained(tmp_path)
    for name in (*SETTINGS, "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert (folder / name).read_text() == (tmp_path / name).read_text(), name


def test_the_processor_finds_its_tokens_and_sizes(folder: Path) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    config: Any = AutoConfig.from_pretrained(folder)
    settings = {name: json.loads((folder / name).read_text()) for name in SETTINGS}
    assert {one["processor_class"] for one in settings.values()} == {"InternVLProcessor"}
    assert settings["processor_config.json"]["image_seq_length"] == config.image_seq_length == 16
    assert tokenizer.context_image_token_id == config.image_token_id
    assert (tokenizer.start_image_token, tokenizer.end_image_token) == ("<img>", "</img>")
    assert tokenizer.video_token_id == config.get_text_config().vocab_size == len(tokenizer) - 1


def test_frames_as_labelled_pictures_are_our_own_prompt_and_pixels() -> None:
    """Ids and pixels that `AutoProcessor` made of the shipped files, recorded where torchvision is."""
    backbone, recorded, frames = (
        InternVLBackbone(str(DENSE)),
        read_recorded(SHIPPED_PICTURES),
        shown_frames(SHIPPED_PICTURES),
    )
    spans = [FrameSpan(number, 16) for number in range(len(frames))]
    text = backbone.prompt_text(spans, QUESTION)
    assert backbone.tokenizer(text, add_special_tokens=False).input_ids == recorded.ids.tolist()
    torch.testing.assert_close(backbone._pixels(frames), torch.from_numpy(recorded.pixels), atol=1e-6, rtol=0)
    assert np.array_equal(recorded.pixels, read_recorded(SHIPPED_VIDEO).pixels)
    own: Any = backbone.tokenizer
    message = own.apply_chat_template(labelled_pictures(len(frames)), tokenize=False, add_generation_prompt=True)
    assert message.replace("<IMG_CONTEXT>", f"<img>{'<IMG_CONTEXT>' * 16}</img>") == text


def test_a_video_part_differs_by_the_labels_that_transformers_writes() -> None:
    backbone, recorded = InternVLBackbone(str(DENSE)), read_recorded(SHIPPED_VIDEO)
    text = backbone.prompt_text([FrameSpan(number, 16) for number in range(3)], QUESTION)
    assert backbone.tokenizer.decode(recorded.ids) == text.replace("Frame-", "Frame")
