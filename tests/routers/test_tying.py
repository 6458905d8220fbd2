"""A head is tied to the embedding, or not, as the tensors of a checkpoint say; its config is put right."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.routers.tiny_backbones import MODELS, all_kept, video, write_tiny
from tests.routers.trained_language import with_language
from videorouter.routers.backbones import tying
from videorouter.routers.backbones.language_weights import LanguageWeights, apply_language, write_language
from videorouter.routers.backbones.loading import load_backbone
from videorouter.routers.backbones.tying import has_own_head, load_as_stored, tied_by_tensors

NOTHING, WRONG = object(), "wrong"


def checkpoint(folder: Path, family: str, head: str, flag: Any) -> Path:
    """A tiny checkpoint whose head is `own`, `stored` again or `absent`, and whose config says `flag`, or nothing."""
    write_tiny(folder, family)
    tensors = load_file(folder / "model.safetensors")
    (name,) = (name for name in tensors if name.endswith("lm_head.weight"))
    (embedding,) = (name for name in tensors if name.endswith("embed_tokens.weight"))
    if head == "stored":
        tensors[name] = tensors[embedding].clone()
    elif head == "absent":
        del tensors[name]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    for part in (config, config["text_config"]):
        part.pop("tie_word_embeddings", None)
        if flag is not NOTHING:
            part["tie_word_embeddings"] = flag
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def is_tied(model: Any) -> bool:
    return model.lm_head.weight is model.get_input_embeddings().weight


@pytest.mark.parametrize("flag", [NOTHING, True, False], ids=["nothing", "True", "False"])
@pytest.mark.parametrize("head", ["own", "stored", "absent"])
@pytest.mark.parametrize("family", MODELS)
def test_a_head_is_tied_as_the_tensors_say_and_the_config_follows(
    tmp_path: Path, family: str, head: str, flag: Any
) -> None:
    folder = checkpoint(tmp_path / "base", family, head, flag)
    backbone: Any = load_backbone(str(folder))
    tied = head != "own"
    config = backbone.model.config
    assert is_tied(backbone.model) is tied
    assert config.tie_word_embeddings is tied
    assert getattr(config.get_text_config(), "tie_word_embeddings", tied) is tied
    stored = load_file(folder / "model.safetensors")
    (name,) = (name for name in stored if name.endswith("lm_head.weight" if head == "own" else "embed_tokens.weight"))
    assert torch.equal(backbone.model.lm_head.weight, stored[name])
    count = sum(parameter.numel() for parameter in backbone.model.parameters())
    assert count == sum(tensor.numel() for key, tensor in stored.items() if head != "stored" or "lm_head" not in key)
    early: Any = load_backbone(str(folder), early_layers=2)
    assert early.model.config.tie_word_embeddings is (head == "absent")  # by names alone: no weight of a head is read
    backbone.model.save_pretrained(tmp_path / "again")
    again: Any = type(backbone.model).from_pretrained(tmp_path / "again")  # the plain class, which asks the config
    assert is_tied(again) is tied
    assert torch.equal(again.lm_head.weight, backbone.model.lm_head.weight)


def test_little_is_read_of_a_head_of_its_own_before_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = checkpoint(tmp_path, "internvl", "own", NOTHING)
    opened: list[Any] = []

    class Watched(tying.TensorRanges):
        def __init__(self, path: Path) -> None:
            super().__init__(path)
            opened.append(self)

    monkeypatch.setattr(tying, "TensorRanges", Watched)
    monkeypatch.setattr(Watched, "pieces", lambda self, name: super(Watched, self).pieces(name, 64))
    assert tied_by_tensors(str(folder)) is False
    headers = 8 + int.from_bytes((folder / "model.safetensors").read_bytes()[:8], "little")
    assert sum(ranges.bytes_read for ranges in opened) == len(opened) * headers + 2 * 64


def test_an_index_says_it_as_a_single_file_does(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "one", "internvl", "own", NOTHING)
    whole: Any = load_backbone(str(folder))
    whole.model.config.tie_word_embeddings = True  # what transformers would take from the published config
    sharded = Path(shutil.copytree(folder, tmp_path / "many"))
    (sharded / "model.safetensors").unlink()
    tensors = load_file(folder / "model.safetensors")
    files = {name: f"model-{number % 3}.safetensors" for number, name in enumerate(sorted(tensors))}
    for file in set(files.values()):
        save_file({name: tensors[name] for name in tensors if files[name] == file}, sharded / file, {"format": "pt"})
    index = {"metadata": {}, "weight_map": files}
    (sharded / "model.safetensors.index.json").write_text(json.dumps(index))
    assert has_own_head(files)
    assert tied_by_tensors(str(sharded)) is False
    loaded: Any = load_backbone(str(sharded))
    assert torch.equal(loaded.model.lm_head.weight, whole.model.lm_head.weight)
    (sharded / files[next(name for name in files if "lm_head" in name)]).unlink()
    with pytest.raises(ValueError, match=r"lacks model-\d.safetensors"):
        load_backbone(str(sharded))


def test_a_head_of_its_own_and_a_tied_one_answer_alike_over_cpu_and_disk(tmp_path: Path) -> None:
    """Where parameters lie on the meta device, contents are still those of the files."""
    for head in ("own", "stored", "absent"):
        folder = checkpoint(tmp_path / head, "internvl", head, NOTHING)
        whole: Any = load_backbone(str(folder))
        places = dict.fromkeys(["model.vision_tower", "model.multi_modal_projector"], "cpu")
        places |= {"model.language_model": "disk", "lm_head": "disk"}
        spread = load_as_stored(
            type(whole.model),
            str(folder),
            device_map=places,
            offload_folder=str(tmp_path / f"{head}-off"),
            dtype="float32",
        )
        assert spread.config.tie_word_embeddings is (head != "own")
        ids = torch.arange(7)[None]
        with torch.no_grad():
            torch.testing.assert_close(spread(input_ids=ids).logits, whole.model(input_ids=ids).logits)


def test_stage_3_full_trains_a_head_of_its_own_and_leaves_a_tied_one_tied(tmp_path: Path) -> None:
    for head in ("own", "stored", "absent"):
        folder = checkpoint(tmp_path / head, "internvl", head, NOTHING)
        backbone: Any = load_backbone(str(folder))
        model = backbone.model
        weights = LanguageWeights.of(model, "full")
        trained = weights.tensors()
        assert ("lm_head.weight" in trained) is (head == "own")
        assert model.lm_head.weight.requires_grad is (head == "own")
        before = {name: value.detach().clone() for name, value in trained.items()}
        prompt = backbone.embed_prompt(all_kept(backbone.encode_frames(video(2))), "What is there?")
        states = model.model.language_model(inputs_embeds=prompt.embeddings).last_hidden_state
        torch.nn.functional.cross_entropy(model.lm_head(states[0, -1:]), torch.tensor([5])).backward()
        torch.optim.AdamW(trained.values(), lr=1e-2).step()
        changed = {name for name, value in trained.items() if not torch.equal(value, before[name])}
        assert ("lm_head.weight" in changed) is (head == "own")
        assert len(changed) > 20
        write_language(tmp_path / f"{head}-router", weights.record(), trained, str(folder))
        again = apply_language(tmp_path / f"{head}-router", load_backbone(str(folder)).model)  # type: ignore[attr-defined]
        assert is_tied(again) is (head != "own")
        torch.testing.assert_close(again.lm_head.weight, model.lm_head.weight)


def test_a_head_that_was_trained_over_a_base_that_stores_the_embedding_twice_is_its_own(tmp_path: Path) -> None:
    """As exported where config.json called such a base untied."""
    folder = checkpoint(tmp_path / "base", "internvl", "stored", False)
    backbone: Any = load_backbone(str(folder))
    head = torch.randn_like(backbone.model.lm_head.weight)
    trained = LanguageWeights(backbone.model, "full").tensors() | {"lm_head.weight": torch.nn.Parameter(head)}
    write_language(
        tmp_path / "router", {"mode": "full"}, {n: value.detach() for n, value in trained.items()}, str(folder)
    )
    embedding = backbone.model.get_input_embeddings().weight.clone()
    model = apply_language(tmp_path / "router", backbone.model)
    assert torch.equal(model.lm_head.weight, head)
    assert torch.equal(model.get_input_embeddings().weight, embedding)
    assert model.config.tie_word_embeddings is False


@pytest.mark.parametrize("mode", ["lora", "full"])
def test_a_trained_language_model_of_which_some_is_missing_is_refused(tmp_path: Path, mode: str) -> None:
    """peft warns of adapters that it does not find, and answers with the base's own layers."""
    base = write_tiny(tmp_path / "base", "internvl")
    router = with_language(tmp_path / "router", base, mode)
    file = next(router.glob("adapter/*.safetensors" if mode == "lora" else "language_model/*.safetensors"))
    held = load_file(file)
    save_file({name: value for name, value in held.items() if ".layers.2.mlp.up_proj" not in name}, file)
    model = load_backbone(str(base), device="cpu").model  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"lacks 1 of \d+ tensors that its training made, .*layers\.2\.mlp\.up_proj"):
        apply_language(router, model)
    save_file({name: value for name, value in held.items() if "layers.2.mlp.up_proj.lora_B" not in name}, file)
    if mode == "lora":
        with pytest.raises(ValueError, match=r"holds half of the adapter of .*layers\.2\.mlp\.up_proj"):
            apply_language(router, model)
