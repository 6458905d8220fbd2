"""What a picture is said to cost is what transformers' own processors make of it, or what a vendor's page says."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.internvl.processing_internvl import InternVLProcessor
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import LlavaOnevisionImageProcessorPil
from transformers.models.llava_onevision.modeling_llava_onevision import LlavaOnevisionModel
from transformers.models.llava_onevision.processing_llava_onevision import LlavaOnevisionProcessor
from transformers.models.qwen2_5_vl.processing_qwen2_5_vl import Qwen2_5_VLProcessor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.qwen3_vl.processing_qwen3_vl import Qwen3VLProcessor

from tests.routers.published_layouts import LAYOUTS, write_layout
from videorouter.routers.cost.picture_cost import PictureCost
from videorouter.routers.cost.picture_families import InternVLPictures, LlavaOnevisionPictures, QwenPictures
from videorouter.routers.cost.picture_names import PICTURE_COSTS, picture_cost, picture_cost_of

SIDES = st.integers(1, 2600)
SMALL = [(56, 56), (30, 200), (200, 30), (112, 112), (180, 320), (75, 100), (113, 113), (7, 9), (140, 61)]
ROOT = Path(__file__).parents[2]


def rule(processor_class: Any, image_processor: Any, **settings: Any) -> Callable[[int, int], int]:
    """Tokens by the processor class's own `_get_num_multimodal_tokens`, on which its tokenizer has no say."""
    processor = processor_class.__new__(processor_class)
    processor.image_processor, processor.tokenizer = image_processor, SimpleNamespace(init_kwargs={})
    for name, value in settings.items():
        setattr(processor, name, value)
    return lambda height, width: processor._get_num_multimodal_tokens(image_sizes=[(height, width)]).num_image_tokens[0]


def internvl_rule(image_processor: Any, tile_tokens: int) -> Callable[[int, int], int]:
    counted = rule(InternVLProcessor, image_processor, image_seq_length=tile_tokens)
    return lambda height, width: counted(height, width) - 2  # the two around the picture


def llava_settings(tokens: int = 729, strategy: str = "full") -> dict[str, Any]:
    return {
        "num_image_tokens": tokens,
        "vision_feature_select_strategy": strategy,
        "vision_aspect_ratio": "anyres_max_9",
    }


def picture(height: int, width: int) -> np.ndarray:
    return np.zeros((height, width, 3), np.uint8)


INTERNVL_RULE = internvl_rule(GotOcr2ImageProcessorPil(size={"height": 448, "width": 448}), 256)
LLAVA_RULE = rule(LlavaOnevisionProcessor, LlavaOnevisionImageProcessorPil(), **llava_settings())
QWEN_RULES = {
    "qwen2_5_vl": rule(
        Qwen2_5_VLProcessor, Qwen2VLImageProcessorPil(size={"shortest_edge": 3136, "longest_edge": 12_845_056})
    ),
    "qwen3_vl": rule(
        Qwen3VLProcessor,
        Qwen2VLImageProcessorPil(patch_size=16, size={"shortest_edge": 65_536, "longest_edge": 16_777_216}),
    ),
}


@settings(max_examples=300, deadline=None)
@given(SIDES, SIDES)
@example(633, 633)
@example(634, 634)
@example(480, 640)
def test_internvl_charges_the_tiles_of_its_processor(height: int, width: int) -> None:
    assert picture_cost("internvl").tokens(height, width) == INTERNVL_RULE(height, width)


@settings(max_examples=300, deadline=None)
@given(SIDES, SIDES)
@example(384, 384)
@example(944, 1153)
def test_llava_onevision_charges_base_tiles_and_newlines_of_its_processor(height: int, width: int) -> None:
    assert picture_cost("llava_onevision").tokens(height, width) == LLAVA_RULE(height, width)


@pytest.mark.parametrize("family", QWEN_RULES)
@settings(max_examples=200, deadline=None)
@given(height=SIDES, width=SIDES)
@example(height=1, width=200)
@example(height=4000, width=6000)
def test_qwen_charges_the_pixels_of_its_processor(family: str, height: int, width: int) -> None:
    if max(height, width) > 200 * min(height, width):
        with pytest.raises(ValueError, match="absolute aspect ratio"):
            QWEN_RULES[family](height, width)
        with pytest.raises(ValueError, match=f"{width}x{height} pixels is too narrow"):
            picture_cost(family).tokens(height, width)
    else:
        assert picture_cost(family).tokens(height, width) == QWEN_RULES[family](height, width)


@pytest.mark.parametrize("size", SMALL)
@pytest.mark.parametrize(("least", "most"), [(1, 12), (1, 1), (2, 6), (1, 4)])
def test_internvl_makes_as_many_tiles_of_pixels(size: tuple[int, int], least: int, most: int) -> None:
    processor: Any = GotOcr2ImageProcessorPil(size={"height": 56, "width": 56}, min_patches=least, max_patches=most)
    made = processor([picture(*size)], crop_to_patches=True, return_tensors="np")
    assert len(made["pixel_values"]) == made["num_patches"][0]
    assert InternVLPictures(56, 4, least, most).tokens(*size) == 4 * len(made["pixel_values"])


@pytest.mark.parametrize("size", SMALL)
@pytest.mark.parametrize(("factor", "patch"), [(28, 14), (32, 16)])
def test_qwen_makes_as_many_patches_of_pixels(size: tuple[int, int], factor: int, patch: int) -> None:
    limits = {"shortest_edge": 4 * factor**2, "longest_edge": 20 * factor**2}
    made = Qwen2VLImageProcessorPil(patch_size=patch, size=limits)([picture(*size)], return_tensors="np")
    cost = QwenPictures(factor, 4 * factor**2, 20 * factor**2)
    assert cost.tokens(*size) * 4 == len(made["pixel_values"]) == made["image_grid_thw"].prod()


@pytest.mark.parametrize("size", SMALL)
def test_llava_onevision_makes_as_many_features_of_pixels(size: tuple[int, int]) -> None:
    """Of the processor's tiles, by the model's own packing: what it drops, ends with newlines and shrinks is counted, not told."""
    pinpoints = [[28 * rows, 28 * columns] for rows in range(1, 7) for columns in range(1, 7)]
    processor = LlavaOnevisionImageProcessorPil(size={"height": 28, "width": 28}, image_grid_pinpoints=pinpoints)
    made = processor([picture(*size)], return_tensors="pt")
    tiles = len(made["pixel_values"][0])
    vision = SimpleNamespace(image_size=28, patch_size=7)
    model = SimpleNamespace(config=SimpleNamespace(vision_config=vision, image_grid_pinpoints=pinpoints))
    pack: Any = LlavaOnevisionModel.pack_image_features
    _, counted = pack(model, [torch.zeros(tiles, 16, 3)], made["image_sizes"], torch.zeros(3))
    cost = LlavaOnevisionPictures(tuple((height, width) for height, width in pinpoints), 28, 4)
    assert cost.tokens(*size) == int(counted[0])


def published_rule(folder: Path) -> Callable[[int, int], int]:
    """The processor class's rule with the settings that the folder's files give its processor."""
    config = json.loads((folder / "config.json").read_text())
    told = folder / "processor_config.json"
    processor = json.loads(told.read_text()) if told.exists() else {}
    family = config["model_type"]
    if family == "internvl":
        images: Any = GotOcr2ImageProcessorPil.from_pretrained(folder)
        return internvl_rule(images, processor["image_seq_length"])
    if family == "llava_onevision":
        images = LlavaOnevisionImageProcessorPil.from_pretrained(folder)
        return rule(LlavaOnevisionProcessor, images, **llava_settings(processor["num_image_tokens"]))
    return rule(Qwen3VLProcessor, Qwen2VLImageProcessorPil.from_pretrained(folder))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_checkpoints_own_files_say_what_its_pictures_cost(layout: str, tmp_path: Path) -> None:
    folder = write_layout(layout, tmp_path)
    if "VL-" in layout and layout.startswith("Qwen3"):
        published = {"patch_size": 16, "size": {"shortest_edge": 65_536, "longest_edge": 16_777_216}}
        (folder / "preprocessor_config.json").write_text(json.dumps(published))
    cost, counted = picture_cost_of(str(folder)), published_rule(folder)
    sizes = [*SMALL, (360, 640), (480, 640), (1080, 1920), (500, 500)]
    assert [cost.tokens(*size) for size in sizes] == [counted(*size) for size in sizes]


def test_settings_are_read_from_wherever_transformers_reads_them(tmp_path: Path) -> None:
    def written(config: dict[str, Any], processor: dict[str, Any], images: dict[str, Any]) -> PictureCost:
        for name, content in (("config", config), ("processor_config", processor), ("preprocessor_config", images)):
            (tmp_path / f"{name}.json").write_text(json.dumps(content))
        return picture_cost_of(str(tmp_path))

    qwen = {"model_type": "qwen3_vl", "vision_config": {"patch_size": 16, "spatial_merge_size": 2}}
    assert written(qwen, {}, {}) == picture_cost("qwen3_vl")
    nested = {"image_processor": {"size": {"shortest_edge": 1024, "longest_edge": 4096}}}
    assert written(qwen, nested, {"min_pixels": 1}) == QwenPictures(32, 1024, 4096)
    own = {
        "model_type": "internvl_chat",
        "vision_config": {"image_size": 448, "patch_size": 14},
        "max_dynamic_patch": 6,
    }
    assert written(own, {}, {}) == InternVLPictures(most=6)
    assert written({**own, "dynamic_image_size": False}, {}, {}).tokens(480, 640) == 256
    with pytest.raises(ValueError, match="is a 'gemma3' checkpoint, whose pictures' cost is not known"):
        written({"model_type": "gemma3"}, {}, {})


def test_the_shipped_base_charges_one_tile_whatever_the_picture() -> None:
    cost = picture_cost_of(str(ROOT / "miniature" / "shipped" / "dense"))
    assert {cost.tokens(*size) for size in SMALL} == {16}
    assert (cost.frame_size(16, 360, 640), cost.frame_size(15, 360, 640)) == ((112, 112), None)


@pytest.mark.parametrize(
    ("name", "size", "tokens"),
    [  # (height, width); each is an example of the vendor's page
        ("gpt-4o", (1024, 1024), 765),
        ("gpt-4o", (4096, 2048), 1105),
        ("gpt-4o-low", (8192, 4096), 85),
        ("gpt-4.1-mini", (1024, 1024), math.ceil(1024 * 1.62)),
        ("o4-mini", (2400, 1800), math.ceil(1452 * 1.72)),
        ("claude", (200, 200), 64),
        ("claude", (1000, 1000), 1296),
        ("claude", (1092, 1092), 1521),
        ("claude-4.7", (1080, 1920), 2691),
        ("claude-4.7", (2160, 3840), 4784),
        ("gemini-2.5", (384, 384), 258),
        ("gemini-2.5", (540, 960), 6 * 258),
    ],
)
def test_vendors_charge_what_their_pages_say(name: str, size: tuple[int, int], tokens: int) -> None:
    assert picture_cost(name).tokens(*size) == tokens


@pytest.mark.parametrize("name", PICTURE_COSTS)
@settings(max_examples=25, deadline=None)
@given(height=st.integers(1, 300), width=st.integers(1, 300), tokens=st.integers(1, 1500))
def test_no_larger_picture_of_the_shape_is_as_cheap(name: str, height: int, width: int, tokens: int) -> None:
    cost = picture_cost(name)
    if max(height, width) > 150 * min(height, width):
        return
    longer = max(height, width)
    sizes = [
        (max(1, round(height * side / longer)), max(1, round(width * side / longer))) for side in range(1, longer + 1)
    ]
    shaped = [size for size in sizes if abs(size[0] * width - height * size[1]) <= 0.02 * height * size[1]]
    affordable = [size for size in shaped if cost.tokens(*size) <= tokens]
    found = cost.size_for(tokens, height, width)
    assert found == max(affordable, default=None)
    least = cost.least_frame(height, width)
    assert cost.frame_size(least - 1, height, width) is None
    shown = cost.frame_size(least, height, width)
    assert shown is not None
    assert cost.tokens(*shown) <= least


def test_what_is_no_upstream_or_no_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown picture cost 'gpt-9': there are internvl, "):
        picture_cost("gpt-9")
    with pytest.raises(ValueError, match=r"holds no config\.json: name a checkpoint, or one of internvl"):
        picture_cost_of(str(tmp_path))
    for cost in PICTURE_COSTS.values():
        with pytest.raises(ValueError, match="a picture of 5x0 pixels: give 1 or more pixels each way"):
            cost.tokens(0, 5)
