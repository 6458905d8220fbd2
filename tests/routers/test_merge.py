"""A router folder's language model is written out as an ordinary checkpoint, whole or not at all."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, AutoTokenizer

from tests.loopback.hub import LoopbackHub, Repository
from tests.loopback.serving import served
from tests.routers import tiny_backbones
from tests.routers.tiny_backbones import MODELS, all_shown, video
from tests.routers.trained_language import published, with_language
from videorouter.routers.__main__ import main
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.backbones.language_weights import ADAPTER
from videorouter.routers.backbones.loading import load_backbone
from videorouter.routers.checkpoints import merge as merging
from videorouter.routers.checkpoints.merge import merge

ROOT = Path(__file__).parents[2]


def names(folder: Path) -> set[str]:
    return {name for file in folder.glob("*.safetensors") for name in safe_open(str(file), "pt").keys()}  # noqa: SIM118


def tensor(folder: Path, name: str) -> torch.Tensor:
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    return load_file(folder / index["weight_map"][name])[name]


def plain(folder: Path, dtype: Any = torch.float32) -> Any:
    """The class of transformers that config.json names, from nothing but the folder."""
    loaded: Any = AutoModelForImageTextToText.from_pretrained(folder, dtype=dtype, output_loading_info=True)
    model, report = loaded
    assert not any(report.values()), report
    return model


@torch.no_grad()
def check_same(router: Path, merged: Path) -> None:
    """Logits and greedy text of our runtime over the router folder, and of the plain class over the merged one."""
    ours: Any = VideoRouter.from_pretrained(router).backbone
    model, tokenizer = plain(merged), AutoTokenizer.from_pretrained(merged)
    prompt = ours.embed_prompt(all_shown(ours, video(2)), "What is there?")
    given: dict[str, Any] = {"inputs_embeds": prompt.embeddings}
    if prompt.position_ids is None:
        logits = model(**given).logits[0, -1]
        torch.testing.assert_close(logits, ours.next_token_logits(prompt), atol=1e-4, rtol=1e-4)
        mask = torch.ones(prompt.embeddings.shape[:2], dtype=torch.long)
        made = model.generate(**given, attention_mask=mask, max_new_tokens=12, do_sample=False)
        text = str(tokenizer.decode(made[0], skip_special_tokens=True)).strip()
        assert text == ours.generate(prompt, 12).text
    again: Any = load_backbone(str(merged), shape=ours.shape)  # the family's own pixels and positions too
    seen = again.embed_prompt(all_shown(again, video(2)), "What is there?")
    torch.testing.assert_close(again.next_token_logits(seen), ours.next_token_logits(prompt), atol=1e-4, rtol=1e-4)
    assert again.generate(seen, 12).text == ours.generate(prompt, 12).text
    ids = torch.arange(9)[None]
    torch.testing.assert_close(model(input_ids=ids).logits, ours.model(input_ids=ids).logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("mode", ["lora", "full"])
@pytest.mark.parametrize("family", MODELS)
def test_the_plain_class_answers_from_a_merged_folder_as_our_runtime_does(
    tmp_path: Path, family: str, mode: str
) -> None:
    base = published(tmp_path / "base", family)
    router = with_language(tmp_path / "router", base, mode)
    made = merge(router, tmp_path / "merged", dtype="float32")
    check_same(router, tmp_path / "merged")
    assert names(tmp_path / "merged") == names(base)
    assert (made.tensors, made.lacking) == (len(names(base)), ())
    assert 20 < made.changed < made.tensors


@pytest.mark.parametrize("mode", ["lora", "full"])
def test_a_tied_head_stays_tied_and_config_says_so_in_both_cases(tmp_path: Path, mode: str) -> None:
    for tied in (True, False):
        folder = tmp_path / str(tied)
        router = with_language(folder / "router", published(folder / "base", tied=tied), mode)
        merge(router, folder / "merged", dtype="float32")
        check_same(router, folder / "merged")
        config = json.loads((folder / "merged" / "config.json").read_text())
        assert config["tie_word_embeddings"] is config["text_config"]["tie_word_embeddings"] is tied
        model = plain(folder / "merged")
        assert (model.lm_head.weight is model.get_input_embeddings().weight) is tied
        changed = not torch.equal(model.lm_head.weight, plain(folder / "base").lm_head.weight)
        assert changed is (mode == "full" and not tied)


def test_a_head_stored_as_the_embedding_once_more_is_not_stored_again(tmp_path: Path) -> None:
    base = published(tmp_path / "base", tied=True)
    embedding = "language_model.model.embed_tokens.weight"
    index = json.loads((base / "model.safetensors.index.json").read_text())
    held = load_file(base / index["weight_map"][embedding])
    held["language_model.lm_head.weight"] = held[embedding].clone()
    save_file(held, base / index["weight_map"][embedding], {"format": "pt"})
    index["weight_map"]["language_model.lm_head.weight"] = index["weight_map"][embedding]
    (base / "model.safetensors.index.json").write_text(json.dumps(index))
    router = with_language(tmp_path / "router", base, "full")
    merge(router, tmp_path / "merged", dtype="float32")
    assert names(base) - names(tmp_path / "merged") == {"language_model.lm_head.weight"}
    check_same(router, tmp_path / "merged")


def test_experts_that_are_published_one_by_one_are_written_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "head_dim": 16}
    for name, value in experts.items():
        monkeypatch.setitem(tiny_backbones.TEXT, name, value)
    base = published(tmp_path / "base", tower="qwen3_moe")
    assert any(name.endswith("mlp.experts.3.gate_proj.weight") for name in names(base))
    router = with_language(tmp_path / "router", base, "full")
    merge(router, tmp_path / "merged", dtype="float32")
    assert names(tmp_path / "merged") == names(base)
    check_same(router, tmp_path / "merged")


def test_weights_are_written_in_shards_of_the_dtype_and_size_asked_for(tmp_path: Path) -> None:
    base = published(tmp_path / "base")
    router = with_language(tmp_path / "router", base, "lora")
    told: list[tuple[int, int]] = []
    made = merge(router, tmp_path / "m", max_shard_size="60KB", progress=lambda done, total: told.append((done, total)))
    files = sorted((tmp_path / "m").glob("*.safetensors"))
    assert len(files) > 3
    index = json.loads((tmp_path / "m" / "model.safetensors.index.json").read_text())
    assert index["weight_map"].keys() == names(base)
    assert {tmp_path / "m" / file for file in index["weight_map"].values()} == set(files)
    assert index["metadata"]["total_size"] == made.bytes == told[-1][0] == told[-1][1]
    for file in files:
        held = load_file(file)
        assert {value.dtype for value in held.values()} == {torch.bfloat16}
        assert sum(value.nbytes for value in held.values()) <= 60_000 or len(held) == 1
    assert json.loads((tmp_path / "m" / "config.json").read_text())["torch_dtype"] == "bfloat16"
    assert plain(tmp_path / "m", "auto").dtype == torch.bfloat16
    untouched = next(name for name in names(base) if name.startswith("vision_tower"))
    assert torch.equal(tensor(tmp_path / "m", untouched), tensor(base, untouched))


def test_what_lies_beside_the_weights_comes_along(tmp_path: Path) -> None:
    base = published(tmp_path / "base")
    merge(with_language(tmp_path / "router", base, "lora"), tmp_path / "m")
    beside = {
        "preprocessor_config.json",
        "LICENSE",
        "tokenizer.json",
        "tokenizer_config.json",
        "generation_config.json",
    }
    for name in {*beside, "chat_template.jinja", "additional_chat_templates/tools.jinja"}:
        assert (tmp_path / "m" / name).read_bytes() == (base / name).read_bytes()
    assert {path.name for path in (tmp_path / "m").iterdir()} == beside | {
        "chat_template.jinja", "additional_chat_templates", "model.safetensors", "config.json", "README.md",
    }  # fmt: skip


def test_the_command_says_what_it_wrote_and_what_the_base_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = published(tmp_path / "base")
    (base / "preprocessor_config.json").unlink()
    router = with_language(tmp_path / "router", base, "lora")
    capsys.readouterr()
    assert main(["merge", str(router), "--out", str(tmp_path / "m"), "--max-shard-size", "5GB"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(f"merged into {tmp_path / 'm'} (")
    assert "28 of 91 tensors" in printed.out
    assert "preprocessor_config.json" in printed.err


def refused(router: Path, out: Path, **options: Any) -> str:
    """Why it is refused; nothing is there afterwards that was not there before."""
    before = sorted(out.parent.rglob("*"))
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        merge(router, out, **options)
    assert sorted(out.parent.rglob("*")) == before
    return str(raised.value)


def test_what_cannot_be_merged_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    base = published(tmp_path / "base")
    router = with_language(tmp_path / "router", base, "lora")
    without = Path(shutil.copytree(router, tmp_path / "without"))
    shutil.rmtree(without / ADAPTER)
    assert f"its base {base} is the checkpoint to take" in refused(without, tmp_path / "m")
    assert "exists and is no empty folder" in refused(router, base)
    other = Path(shutil.copytree(base, tmp_path / "other"))
    held = load_file(file := next(iter(sorted(other.glob("*.safetensors")))))
    save_file({name: value + 1 for name, value in held.items()}, file, {"format": "pt"})
    assert str(other) in refused(router, tmp_path / "m", base=str(other))
    quantised = Path(shutil.copytree(base, tmp_path / "quantised"))
    config = json.loads((quantised / "config.json").read_text())
    (quantised / "config.json").write_text(json.dumps(config | {"quantization_config": {"quant_method": "awq"}}))
    assert "is quantised (awq)" in refused(router, tmp_path / "m", base=str(quantised))
    assert "max_shard_size is '0GB'" in refused(router, tmp_path / "m", max_shard_size="0GB")
    adapter = router / ADAPTER / "adapter_model.safetensors"
    held = load_file(adapter)
    save_file({name.replace("layers.0", "layers.9"): value for name, value in held.items()}, adapter)
    assert "layers.9.mlp.down_proj.weight (64, 96), which the base" in refused(router, tmp_path / "m")
    settings = json.loads((router / ADAPTER / "adapter_config.json").read_text())
    (router / ADAPTER / "adapter_config.json").write_text(json.dumps(settings | {"use_dora": True}))
    assert "no adapter as stage 3 writes it (use_dora)" in refused(router, tmp_path / "m")


def test_a_weight_beyond_float16_is_refused_by_name(tmp_path: Path) -> None:
    router = with_language(tmp_path / "router", published(tmp_path / "base"), "full")
    (file,) = (router / "language_model").glob("*.safetensors")
    held = load_file(file)
    held["model.language_model.norm.weight"][0] = 1e6
    save_file(held, file, {"format": "pt"})
    assert "language_model.model.norm.weight holds weights beyond float16" in refused(
        router, tmp_path / "m", dtype="float16"
    )
    merge(router, tmp_path / "m", dtype="bfloat16")


@pytest.mark.parametrize(
    "stop", [KeyboardInterrupt(), OSError(28, "No space left on device")], ids=["Ctrl-C", "full disk"]
)
def test_nothing_half_written_is_left_where_it_was_stopped(tmp_path: Path, stop: BaseException) -> None:
    router = with_language(tmp_path / "router", published(tmp_path / "base"), "lora")
    out = tmp_path / "out" / "merged"
    (out.parent / ".merged.unfinished").mkdir(parents=True)  # of one that was killed
    (out.parent / ".merged.unfinished" / "model-00009-of-00009.safetensors").touch()

    def stopping(done: int, total: int) -> None:
        if done > total / 2:
            raise stop

    with pytest.raises(type(stop)) as raised:
        merge(router, out, max_shard_size="60KB", progress=stopping)
    assert not list(out.parent.iterdir())
    if isinstance(stop, OSError):
        assert str(out) in str(raised.value)
    out.mkdir()  # an empty folder is no reason to refuse
    merge(router, out, max_shard_size="60KB")
    assert [path.name for path in out.parent.iterdir()] == ["merged"]


def test_a_disk_that_is_too_small_is_said_before_a_byte_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    router = with_language(tmp_path / "router", published(tmp_path / "base"), "lora")
    monkeypatch.setattr(merging.shutil, "disk_usage", lambda path: SimpleNamespace(free=1))
    assert "make room" in refused(router, tmp_path / "m")


def test_a_base_on_the_hub_is_merged_with_by_its_id_and_offline_from_the_cache(tmp_path: Path) -> None:
    base = published(tmp_path / "base")
    router = with_language(tmp_path / "router", base, "full")
    here = merge(router, tmp_path / "here")
    server = LoopbackHub()
    files = {str(path.relative_to(base)): path.read_bytes() for path in base.rglob("*") if path.is_file()}
    server.repositories["models/lab/base"] = Repository(files)
    with served(server.application) as address:
        environment = os.environ | {
            "HF_ENDPOINT": address, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }  # fmt: skip
        command = ["-m", "videorouter", "merge", str(router), "--base", "lab/base", "--out"]
        there = run(environment, *command, str(tmp_path / "there"))
    offline = run(environment | {"HF_HUB_OFFLINE": "1"}, *command, str(tmp_path / "offline"))
    assert (there.returncode, offline.returncode) == (0, 0), there.stderr + offline.stderr
    assert "GET pytorch_model.bin" not in server.requests
    assert "base_model: lab/base" in (tmp_path / "there" / "README.md").read_text()
    for path in here.folder.rglob("*"):
        if path.is_file() and path.name != "README.md":
            for folder in ("there", "offline"):
                assert (tmp_path / folder / path.relative_to(here.folder)).read_bytes() == path.read_bytes(), path.name


def run(environment: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    """The real client, in a process of its own: it reads the Hub's address once, when it is imported."""
    return subprocess.run([sys.executable, *command], env=environment, text=True, capture_output=True, cwd=ROOT)
