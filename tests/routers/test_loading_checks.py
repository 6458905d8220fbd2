"""What cannot be loaded as asked is one line before anything is read, and never an answer of other weights."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.routers.tiny_backbones import TEMPLATE, all_kept, video, write_tiny
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.backbones.layout import chat_prompt
from videorouter.routers.backbones.loading import load_backbone


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("plain") / "model", "internvl")


@pytest.fixture
def copied(plain: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(plain, tmp_path / "model"))


def edited(folder: Path, **entries: Any) -> str:
    """`folder` with entries of config.json, `text__x` those of its text; None takes one out."""
    config = json.loads((folder / "config.json").read_text())
    for name, value in entries.items():
        part = config["text_config"] if name.startswith("text__") else config
        key = name.removeprefix("text__")
        part.pop(key, None) if value is None else part.update({key: value})
    (folder / "config.json").write_text(json.dumps(config))
    return str(folder)


def refused(told: str, path: str, **options: Any) -> None:
    with pytest.raises(ValueError, match=told) as error:
        load_backbone(path, **options)
    assert "\n" not in str(error.value)


def test_weights_that_are_missing_are_never_drawn_at_random(copied: Path) -> None:
    weights = load_file(copied / "model.safetensors")
    left = {name: value for name, value in weights.items() if ".layers.2.mlp." not in name}
    save_file(left, copied / "model.safetensors", {"format": "pt"})
    refused(r"lacks 3 tensors of its model, the first .*layers\.2\.mlp.*fetch config\.json and all", str(copied))


@pytest.mark.parametrize(
    ("layers", "told"),
    [(6, r"lacks \d+ tensors of its model"), (3, "holds .* tensors of layers that its config does not")],
)
def test_a_config_of_another_depth_is_refused(copied: Path, layers: int, told: str) -> None:
    refused(told, edited(copied, text__num_hidden_layers=layers, text__layer_types=None))


@pytest.mark.parametrize("part", ["text_config", "vision_config"])
def test_a_config_without_a_part_is_no_model(copied: Path, part: str) -> None:
    """Where transformers would make a part of eight billion parameters up."""
    refused(f"its config.json has no {part}", edited(copied, **{part: None}))


def test_pointers_of_git_lfs_are_told(copied: Path) -> None:
    (copied / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    refused("git lfs pull", str(copied))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"torch_dtype": "float16"}, "loading has no option torch_dtype: there are .*dtype"),
        ({"frame_label": "Bild"}, "frame_label 'Bild': there are Frame-1 and Frame1"),
        ({"dtype": "float8"}, "torch has none of that name"),
        ({"device": "meta"}, "nothing is computed there"),
        ({"device_map": "nonsense"}, "torch knows no such device.*or one of auto"),
        ({"device_map": {"": "meta"}}, "nothing is computed there"),
        ({"device_map": {"nonsense": "cpu"}}, "device_map names 'nonsense', which .* has not.*model.vision_tower"),
        ({"device_map": {"model.vision_tower": "cpu"}}, "device_map has no device for "),
        ({"device_map": {"": "cpu", "lm_head": "disk"}}, "names '' and its part 'lm_head'"),
        ({"max_memory": {"cpu": "1GiB"}}, "max_memory is for a model that is spread over devices: give device_map"),
        ({"offload_folder": "there"}, "offload_folder is for a model that is spread"),
        ({"device_map": "auto", "max_memory": {"cpu": "lots"}}, "max_memory of cpu is 'lots': give bytes"),
        ({"device_map": "auto", "max_memory": {"gpu0": "1GiB"}}, "device gpu0: torch knows no such device"),
        ({"quantization_config": {"quant_method": "compressed-tensors"}}, "cannot be loaded: .*compressed.tensors"),
        ({"system_prompt": "see <IMG_CONTEXT>"}, "system_prompt holds '<IMG_CONTEXT>'"),
    ],
)
def test_options_that_mean_nothing_are_refused(plain: Path, options: dict[str, Any], told: str) -> None:
    refused(told, str(plain), **options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("spread", ["cuda", "cuda:0", {"": 0}, {"": "cuda:0"}])
def test_a_device_map_of_gpus_that_are_not_there(plain: Path, spread: Any) -> None:
    refused("sees no CUDA device", str(plain), device_map=spread)
    refused("sees no CUDA device", str(plain), device_map="auto", max_memory={0: "70GiB", "cpu": "200GiB"})


def test_a_square_of_more_pixels_than_any_picture_is_refused(tmp_path: Path) -> None:
    refused("pictures of at most 4096", str(write_tiny(tmp_path / "model", "qwen2_5_vl")), frame_size=28_000)
    refused("frame_size is 0", str(tmp_path / "model"), frame_size=0)


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{% for %}", "cannot be used"),
        ("{{ raise_exception('alternate roles, please') }}", r"cannot be used \(alternate roles, please\)"),
        (None, "has no chat template: fetch its"),
    ],
)
def test_a_template_that_fails_names_the_checkpoint(copied: Path, template: str | None, told: str) -> None:
    (copied / "chat_template.jinja").unlink(missing_ok=True)
    settings = json.loads((copied / "tokenizer_config.json").read_text())
    settings.pop("chat_template", None)
    (copied / "tokenizer_config.json").write_text(json.dumps(settings))
    if template is not None:
        (copied / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    backbone: Any = load_backbone(str(copied), device="cpu")
    with pytest.raises(ValueError, match=told) as error:
        backbone.embed_prompt(all_kept(backbone.encode_frames(video(2))), "Why?")
    assert str(copied) in str(error.value)
    assert "\n" not in str(error.value)


def test_named_templates_have_a_default(copied: Path) -> None:
    named = [{"name": "default", "template": TEMPLATE}, {"name": "tools", "template": "tools"}]
    (copied / "chat_template.json").write_text(json.dumps({"chat_template": named}))
    assert "Why?" in chat_prompt(load_backbone(str(copied), device="cpu").tokenizer, "Why?")


def test_a_base_is_no_router_and_says_so(plain: Path) -> None:
    with pytest.raises(ValueError, match=r"is a base model's checkpoint and no router: give it with --base"):
        VideoRouter.from_pretrained(plain)
    with pytest.raises(ValueError, match="frames is 0: give 1 or more"):
        VideoRouter.from_base(str(plain), frames=0)


def test_a_llava_whose_newline_lies_on_disk_answers(tmp_path: Path) -> None:
    folder = str(write_tiny(tmp_path / "model", "llava_onevision"))
    whole: Any = load_backbone(folder, device="cpu")
    spread: Any = load_backbone(
        folder, device_map="auto", max_memory={"cpu": "100KB"}, offload_folder=str(tmp_path / "offload")
    )
    frames = video(2)
    seen = [one.embed_prompt(all_kept(one.encode_frames(frames)), "Why?") for one in (whole, spread)]
    torch.testing.assert_close(spread.next_token_logits(seen[1]), whole.next_token_logits(seen[0]))
