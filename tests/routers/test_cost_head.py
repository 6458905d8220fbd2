"""A head is the model's own where its checkpoint stores one; published sizes come out right from config and index alone."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from videorouter.routers.__main__ import main
from videorouter.routers.cost.head import read_checkpoint
from videorouter.routers.cost.parameters import parameters_by_part

VISION = {
    "model_type": "internvl_vision", "attention_bias": True, "hidden_size": 1024, "image_size": [448, 448],
    "intermediate_size": 4096, "norm_type": "layer_norm", "num_attention_heads": 16, "num_hidden_layers": 24,
    "patch_size": [14, 14], "use_qk_norm": False,
}  # fmt: skip
TEXT = {
    "model_type": "qwen2", "hidden_size": 3584, "intermediate_size": 18944, "max_position_embeddings": 32768,
    "num_attention_heads": 28, "num_hidden_layers": 28, "num_key_value_heads": 4,
    "rope_scaling": {"factor": 2.0, "rope_type": "dynamic", "type": "dynamic"}, "rope_theta": 1e6, "vocab_size": 151674,
}  # fmt: skip
LARGE_VISION = {
    **VISION, "attention_bias": False, "hidden_size": 3200, "intermediate_size": 12800, "norm_type": "rms_norm",
    "num_attention_heads": 25, "num_hidden_layers": 45, "use_qk_norm": True,
}  # fmt: skip
LARGE_TEXT = {
    **TEXT, "hidden_size": 5120, "intermediate_size": 27648, "num_attention_heads": 40, "num_hidden_layers": 64,
    "num_key_value_heads": 8,
}  # fmt: skip
EMBEDDINGS, HEAD = "language_model.model.embed_tokens.weight", "language_model.lm_head.weight"


def published(out: Path, text: dict[str, Any], vision: dict[str, Any], names: tuple[str, ...] = ()) -> Path:
    """A folder with the config of an InternVL3-*-hf as it is on the Hub, and an index of tensors of these names, if any."""
    out.mkdir()
    config = {
        "architectures": ["InternVLForConditionalGeneration"], "downsample_ratio": 0.5, "image_seq_length": 256,
        "image_token_id": 151667, "model_type": "internvl", "projector_hidden_act": "gelu", "text_config": text,
        "torch_dtype": "bfloat16", "vision_config": vision, "vision_feature_layer": -1,
    }  # fmt: skip
    (out / "config.json").write_text(json.dumps(config))
    if names:
        index = {"metadata": {}, "weight_map": dict.fromkeys(names, "model-00001-of-00004.safetensors")}
        (out / "model.safetensors.index.json").write_text(json.dumps(index))
    return out


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["estimate", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("text", "vision", "millions"), [(TEXT, VISION, 7944), (LARGE_TEXT, LARGE_VISION, 38388)], ids=["8B", "38B"]
)
def test_published_sizes_come_out_of_config_and_index(
    text: dict[str, Any], vision: dict[str, Any], millions: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = published(tmp_path / "base", text, vision, (EMBEDDINGS, HEAD))
    cost = printed(capsys, "--model", str(folder))
    assert round(sum(cost["parameters"].values()) / 1e6) == millions
    assert cost["parameters"]["head"] == cost["parameters"]["embeddings"] == text["hidden_size"] * 151_674
    assert cost["said"] == []


def test_without_a_head_in_the_index_it_is_the_embeddings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cost = printed(capsys, "--model", str(published(tmp_path / "base", TEXT, VISION, (EMBEDDINGS,))))
    assert cost["parameters"]["head"] == 0


def test_a_config_alone_is_taken_at_its_word_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    silent = printed(capsys, "--model", str(published(tmp_path / "silent", TEXT, VISION)))
    assert silent["said"] == [
        "head: counted as one with the embeddings, transformers' default: there are no weights beside config.json, which says "
        "nothing of it"
    ]
    folder = published(tmp_path / "telling", TEXT, VISION)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": False}))
    telling = printed(capsys, "--model", str(folder))
    assert telling["said"] == [
        "head: there are no weights beside config.json, which says to count it as one of its own"
    ]
    assert telling["parameters"]["head"] > 0


def test_the_header_of_a_single_file_is_enough(tmp_path: Path) -> None:
    folder = published(tmp_path / "base", TEXT, VISION)
    save_file({EMBEDDINGS: torch.zeros(2), HEAD: torch.zeros(2)}, folder / "model.safetensors")
    read = read_checkpoint(str(folder))
    assert read.said is None
    assert parameters_by_part(read.config)["head"] > 0


def test_quantised_weights_are_said_to_be_counted_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = published(tmp_path / "base", TEXT, VISION, (EMBEDDINGS, HEAD))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps(config | {"quantization_config": {"quant_method": "awq", "bits": 4}})
    )
    said = printed(capsys, "--model", str(folder))["said"]
    assert said == ["weights: config.json says they are quantised (awq); they are counted as if they were not"]


def test_a_long_video_is_said_to_be_beyond_the_8b_model_before_the_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    folder = published(tmp_path / "base", TEXT, VISION, (EMBEDDINGS, HEAD))
    assert main(["estimate", "--model", str(folder), "--frames", "256"]) == 0
    first, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("dense: a prompt of 67,900 positions is beyond the 32,768 that the model was made for")
    assert first.endswith("its dynamic scaling reaches 65,536: `answer` refuses it without --long_prompts")
