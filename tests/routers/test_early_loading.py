"""The early part of a model equals the whole one's and costs no other bytes."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import InternVLForConditionalGeneration

from videorouter.routers.backbones.early_loading import load_early
from videorouter.routers.backbones.internvl import InternVLBackbone
from videorouter.routers.backbones.prompt import Prompt
from videorouter.routers.backbones.shadow import ShadowStack
from videorouter.routers.routing.routers import ImageRouter

LAYERS = 4
INDEX = "model.safetensors.index.json"


@pytest.fixture(scope="module")
def whole(base: Path) -> InternVLForConditionalGeneration:
    return InternVLForConditionalGeneration.from_pretrained(base).eval()


@pytest.fixture(scope="module")
def sharded(whole: InternVLForConditionalGeneration, base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base in many files."""
    folder = tmp_path_factory.mktemp("sharded")
    for path in base.glob("*token*"):
        shutil.copy(path, folder)
    whole.save_pretrained(folder, max_shard_size="1MB")
    assert len(list(folder.glob("*.safetensors"))) > 4
    return folder


@pytest.fixture(params=["single", "sharded"])
def checkpoint(request: pytest.FixtureRequest, base: Path, sharded: Path) -> Path:
    return base if request.param == "single" else sharded


def early_bytes(whole: InternVLForConditionalGeneration) -> int:
    """Bytes of vision tower, projector, embeddings and the first layers, summed over the whole model."""
    parts = [whole.model.vision_tower, whole.model.multi_modal_projector, whole.get_input_embeddings()]
    return sum(
        weight.nbytes for part in [*parts, *whole.model.language_model.layers[:LAYERS]] for weight in part.parameters()
    )


@torch.no_grad()
def test_features_and_shadow_states_are_those_of_the_whole_model(
    checkpoint: Path, whole: InternVLForConditionalGeneration
) -> None:
    early = load_early(str(checkpoint), LAYERS).model
    pixels, words = torch.randn(2, 3, 112, 112), torch.arange(30).unsqueeze(0)
    features = [model.get_image_features(pixel_values=pixels).pooler_output for model in (whole, early)]
    assert torch.equal(*features)
    embedded = [model.get_input_embeddings()(words) for model in (whole, early)]
    assert torch.equal(*embedded)
    states = [ShadowStack(model.model.language_model, LAYERS).text(embedded[0]) for model in (whole, early)]
    assert torch.equal(*states)
    assert torch.equal(early.model.language_model(inputs_embeds=embedded[0]).last_hidden_state, states[0])


def test_no_more_bytes_are_read_than_the_early_tensors_have(
    checkpoint: Path, whole: InternVLForConditionalGeneration
) -> None:
    loaded = load_early(str(checkpoint), LAYERS)
    assert loaded.tensor_bytes == early_bytes(whole)
    assert loaded.tensor_bytes < loaded.bytes_read <= 1.02 * loaded.tensor_bytes


@pytest.mark.skipif(not os.path.exists("/proc/self/io"), reason="the kernel's own count is Linux's")
def test_the_kernel_counts_the_same_bytes(checkpoint: Path) -> None:
    def read_so_far() -> int:
        return int(Path("/proc/self/io").read_text().split()[1])

    load_early(str(checkpoint), LAYERS)  # what is imported on first use is read here
    before = read_so_far()
    loaded = load_early(str(checkpoint), LAYERS)
    beside = 2 * (checkpoint / "config.json").stat().st_size + 16_384  # the config, and the counter itself
    assert loaded.bytes_read <= read_so_far() - before <= loaded.bytes_read + beside


def test_files_that_hold_nothing_early_are_not_opened(sharded: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(sharded, tmp_path / "part"))
    needed = load_early(str(folder), 1).files
    unneeded = {path.name for path in folder.glob("*.safetensors")} - set(needed)
    assert unneeded
    for name in unneeded:
        (folder / name).unlink()
    assert load_early(str(folder), 1).files == needed


def test_embeddings_kept_under_the_head_s_name_are_found(base: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(base, tmp_path / "tied"))
    weights = load_file(folder / "model.safetensors")
    embeddings = weights.pop("language_model.model.embed_tokens.weight")
    weights["language_model.lm_head.weight"] = embeddings.clone()
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert torch.equal(load_early(str(folder), 1).model.get_input_embeddings().weight, embeddings)


def test_names_of_newer_checkpoints_are_understood(
    base: Path, tmp_path: Path, whole: InternVLForConditionalGeneration
) -> None:
    """As transformers' modules call their tensors, without the renaming that its own saving does."""
    folder = Path(shutil.copytree(base, tmp_path / "named"))
    save_file({name: weight.clone() for name, weight in whole.state_dict().items()}, folder / "model.safetensors")
    loaded = load_early(str(folder), LAYERS)
    assert loaded.tensor_bytes == early_bytes(whole)
    layer = loaded.model.model.language_model.layers[2].mlp.up_proj.weight
    assert torch.equal(layer, whole.model.language_model.layers[2].mlp.up_proj.weight)


@torch.no_grad()
def test_routers_over_an_early_backbone_score_as_over_the_whole(sharded: Path) -> None:
    backbones = [InternVLBackbone(str(sharded), early_layers=layers) for layers in (None, LAYERS)]
    frames = np.random.default_rng(0).integers(0, 256, (3, 90, 160, 3), dtype=np.uint8)
    features = []
    for backbone in backbones:
        tokens, question = backbone.encode_frames(frames), backbone.embed_text("Which symbol is at the top?")
        features.append(ImageRouter(backbone.shadow_stack(LAYERS), backbone.hidden_size).features(tokens, [question]))
    assert torch.equal(*features)
    with pytest.raises(ValueError, match="the language model has 4"):
        backbones[1].shadow_stack(LAYERS + 1)


def test_an_early_backbone_does_not_answer(base: Path) -> None:
    early = InternVLBackbone(str(base), early_layers=LAYERS)
    prompt = Prompt(early.embed_text("Which symbol?").unsqueeze(0), torch.tensor([0]))
    for ask in (lambda: early.generate(prompt, 4), lambda: early.next_token_logits(prompt)):
        with pytest.raises(ValueError, match=r"first 4 layers .* cannot answer"):
            ask()


def test_it_is_held_in_the_dtype_asked_for(base: Path) -> None:
    assert load_early(str(base), 1).model.dtype == torch.float32
    assert {weight.dtype for weight in load_early(str(base), 1, dtype=torch.bfloat16).model.parameters()} == {
        torch.bfloat16
    }


@pytest.mark.parametrize("layers", [0, 7])
def test_more_layers_than_there_are_are_refused(base: Path, layers: int) -> None:
    with pytest.raises(ValueError, match="the language model has 6"):
        load_early(str(base), layers)


def test_a_checkpoint_without_an_early_tensor_is_refused_by_its_name(base: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(base, tmp_path / "lacking"))
    weights = load_file(folder / "model.safetensors")
    del weights["multi_modal_projector.linear_1.bias"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=r"lacks 1 .*multi_modal_projector\.linear_1\.bias"):
        load_early(str(folder), 1)


def test_a_cut_off_file_is_refused(base: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(base, tmp_path / "cut"))
    content = (folder / "model.safetensors").read_bytes()
    for kept in (5, 1000, len(content) // 2):
        (folder / "model.safetensors").write_bytes(content[:kept])
        with pytest.raises(ValueError, match="download it again"):
            load_early(str(folder), LAYERS)


def test_missing_weights_and_files_are_refused_by_name(sharded: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(sharded, tmp_path / "part"))
    (folder / load_early(str(folder), 1).files[0]).unlink()
    with pytest.raises(ValueError, match=f"which its {INDEX} names"):
        load_early(str(folder), 1)
    for path in folder.glob("*.safetensors*"):
        path.unlink()
    with pytest.raises(ValueError, match="holds no safetensors weights"):
        load_early(str(folder), 1)


def test_an_index_that_places_a_tensor_wrongly_is_refused(sharded: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(sharded, tmp_path / "misplaced"))
    index = json.loads((folder / INDEX).read_text())
    name = "multi_modal_projector.linear_1.bias"
    files = set(index["weight_map"].values())
    index["weight_map"][name] = min(files - {index["weight_map"][name]})
    (folder / INDEX).write_text(json.dumps(index))
    with pytest.raises(ValueError, match=f"lacks the tensor {name}"):
        load_early(str(folder), 1)
