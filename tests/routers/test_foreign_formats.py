"""Checkpoints that are not loaded say in one line what to take instead, or what to install."""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.routers.tiny_backbones import all_kept, tiny_tokenizer, video, write_tiny
from videorouter.routers.backbones.loading import load_backbone


@pytest.mark.parametrize(
    ("name", "family", "instead"),
    [
        ("InternVL3-8B", "internvl_chat", "OpenGVLab/InternVL3-8B-hf"),
        ("InternVL3_5-8B", "internvl_chat", "OpenGVLab/InternVL3_5-8B-HF"),
        ("InternVL2_5-8B", "internvl_chat", "OpenGVLab/InternVL2_5-8B-MPO-hf"),
        ("llava-onevision-qwen2-7b-ov", "llava_qwen", "llava-hf/llava-onevision-qwen2-7b-ov-hf"),
        ("LLaVA-Video-7B-Qwen2", "llava_qwen", "llava-hf/llava-onevision-qwen2-7b-ov-hf"),
    ],
)
def test_an_authors_own_format_names_the_repository_to_take(
    tmp_path: Path, name: str, family: str, instead: str
) -> None:
    """With `auto_map`, as published: no code of it is run."""
    content = {"model_type": family, "auto_map": {"AutoConfig": f"configuration_{family}.Config"}}
    (tmp_path / name).mkdir()
    (tmp_path / name / "config.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f"own format .*take {instead}") as error:
        load_backbone(str(tmp_path / name))
    assert "\n" not in str(error.value)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("plain") / "model", "internvl")


QUANTISED = [
    ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "bitsandbytes"),
    ({"quant_method": "awq", "bits": 4}, "gptqmodel"),
    ({"quant_method": "gptq", "bits": 4}, "optimum|gptqmodel"),
    ({"quant_method": "compressed-tensors", "config_groups": {}}, "compressed.tensors"),
]


WITHOUT = pytest.mark.skipif(find_spec("bitsandbytes") is not None, reason="bitsandbytes is there: it is not asked for")


@WITHOUT
@pytest.mark.parametrize(("entries", "package"), QUANTISED)
def test_a_quantised_base_names_the_package_that_reads_it(
    plain: Path, tmp_path: Path, entries: dict[str, object], package: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(plain, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": entries}))
    with pytest.raises(ValueError, match=f"cannot be loaded: .*{package}") as error:
        load_backbone(str(folder), device="cpu")
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match=r"is quantised .*train on the checkpoint it was made of"):
        load_backbone(str(folder), device="cpu", early_layers=2)


@WITHOUT
def test_quantising_while_loading_is_asked_for_in_the_same_words(plain: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot be loaded: .*bitsandbytes"):
        load_backbone(
            str(plain), device="cpu", quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True}
        )
    with pytest.raises(ValueError, match=r"quantization_config .* is none of transformers'"):
        load_backbone(str(plain), device="cpu", quantization_config={"quant_method": "magic"})


@pytest.mark.parametrize(
    ("family", "placeholder", "other"),
    [("internvl", "image_token_id", "</img>"), ("llava_onevision", "video_token_index", "<image>")],
)
def test_another_models_tokenizer_is_known_by_what_stands_for_visual_tokens(
    tmp_path: Path, family: str, placeholder: str, other: str
) -> None:
    """Both are special tokens: InternVL3's tokenizer beside InternVL3.5, or beside LLaVA-OneVision."""
    folder = write_tiny(tmp_path / "model", family)
    config = json.loads((folder / "config.json").read_text())
    config[placeholder] = tiny_tokenizer().convert_tokens_to_ids(other)
    if family == "llava_onevision":
        config.pop("video_token_id", None)
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        ValueError, match=rf"the family writes .*, and is '{other}' in the tokenizer: they belong to diff"
    ):
        load_backbone(str(folder), device="cpu")


def test_a_base_quantised_by_bitsandbytes_answers_and_routes(tmp_path: Path) -> None:
    """Where that package is installed: quantised while loading, and saved so; its kernels want widths of 64."""
    pytest.importorskip("bitsandbytes", reason="a package of its own, which the project does without")
    wide: dict[str, Any] = {"vision": {"hidden_size": 64, "intermediate_size": 128}, "text": {"intermediate_size": 128}}
    entries = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    whole = write_tiny(tmp_path / "whole", "internvl", **wide)
    made: Any = load_backbone(str(whole), device="cpu", quantization_config=entries)
    made.model.save_pretrained(tmp_path / "saved")
    made.tokenizer.save_pretrained(tmp_path / "saved")
    saved: Any = load_backbone(str(tmp_path / "saved"), device="cpu")
    for backbone in (made, saved):
        prompt = backbone.embed_prompt(all_kept(backbone.encode_frames(video(2))), "Why?")
        assert backbone.generate(prompt, 2).prefill_seconds > 0
        assert backbone.inspect(prompt, 1, 1).attention.isfinite().all()
        assert backbone.shadow_stack(2).text(backbone.embed_text("Why?")[None]).isfinite().all()
