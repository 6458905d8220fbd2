"""With nothing compressed the backbone is the transformers class itself, and its frames are the image processor's."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

from tests.routers.tiny_backbones import all_kept
from videorouter.routers.backbones.internvl import InternVLBackbone
from videorouter.routers.backbones.loading import load_backbone
from videorouter.routers.backbones.protocol import FrameSpan

# What InternVL's preprocessor_config.json sets; the class's own default is another model's.
SETTINGS: dict[str, Any] = {
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
    "crop_to_patches": False,
}


@pytest.fixture(scope="module")
def backbone(base: Path) -> InternVLBackbone:
    loaded = load_backbone(str(base))
    assert isinstance(loaded, InternVLBackbone)
    return loaded


def frames(count: int, height: int = 112, width: int = 112) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(("height", "width"), [(90, 160), (480, 640), (112, 112), (640, 272)])
def test_frames_are_prepared_as_the_image_processor_prepares_them(
    backbone: InternVLBackbone, height: int, width: int
) -> None:
    processor = GotOcr2ImageProcessorPil(size={"height": 112, "width": 112}, **SETTINGS)
    given = frames(2, height, width)
    expected = processor(images=list(given), return_tensors="pt").pixel_values
    torch.testing.assert_close(backbone._pixels(given), expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_uncompressed_logits_equal_the_class_own_forward(backbone: InternVLBackbone) -> None:
    given = frames(3)
    spans = [FrameSpan(i, 16) for i in range(3)]
    text = backbone.prompt_text(spans, "What is shown?")
    ids = backbone.tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
    own = backbone.model(input_ids=ids, pixel_values=backbone._pixels(given)).logits[0, -1]
    prompt = backbone.embed_prompt(all_kept(backbone.encode_frames(given)), "What is shown?")
    torch.testing.assert_close(backbone.next_token_logits(prompt), own, atol=1e-4, rtol=1e-4)


def test_generation_equals_the_class_own_generate(backbone: InternVLBackbone) -> None:
    given = frames(2)
    spans = [FrameSpan(i, 16) for i in range(2)]
    ids = backbone.tokenizer(
        backbone.prompt_text(spans, "Count."), add_special_tokens=False, return_tensors="pt"
    ).input_ids
    own = backbone.model.generate(
        input_ids=ids, pixel_values=backbone._pixels(given), attention_mask=torch.ones_like(ids),
        max_new_tokens=8, do_sample=False,
    )  # fmt: skip
    expected = str(backbone.tokenizer.decode(own[0, ids.shape[1] :], skip_special_tokens=True)).strip()
    prompt = backbone.embed_prompt(all_kept(backbone.encode_frames(given)), "Count.")
    assert backbone.generate(prompt, 8).text == expected


def test_the_prompt_has_a_line_a_frame_in_the_chat_template(backbone: InternVLBackbone) -> None:
    text = backbone.prompt_text([FrameSpan(0, 2), FrameSpan(5, 1)], "Why?")
    assert text == (
        "<|im_start|>user\nFrame-1: <img><IMG_CONTEXT><IMG_CONTEXT></img>\nFrame-2: <img><IMG_CONTEXT></img>\nWhy?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_another_family_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"]}')
    with pytest.raises(ValueError, match=r"'qwen2'.*internvl, qwen2_5_vl, qwen3_vl, llava_onevision"):
        load_backbone(str(tmp_path))
