"""A card says what is inside and how it came about, as the Hub reads it; a push tells nothing of the machine that it came from."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData
from safetensors.torch import load_file

from tests.loopback.hub import LoopbackHub, Repository
from tests.loopback.serving import served
from tests.routers.test_hub import push
from tests.train.ranks import command, stages
from tests.train.test_joint import logits_of
from tests.train.test_training import fit
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.checkpoints.base_identity import CheckpointError
from videorouter.routers.checkpoints.export import export
from videorouter.routers.checkpoints.hub import push as push_here
from videorouter.routers.checkpoints.local_paths import elsewhere
from videorouter.routers.checkpoints.trained_file import RECORD, read_record
from videorouter.routers.checkpoints.training_history import read_history
from videorouter.routers.routing.allocation import Scales
from videorouter.train.__main__ import main

SHORT = (
    "--trainer.max_epochs", "1", "--trainer.limit_train_batches", "1", "--trainer.limit_val_batches", "1",
    "--data.init_args.batches_a_step", "1", "--data.init_args.batch_size", "2",
)  # fmt: skip
LICENCE = """---
license: other
license_name: somebodys-licence
license_link: https://example.org/licence
---
# A base
"""


@pytest.fixture(scope="module")
def licensed(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base with a licence of its own."""
    folder = Path(shutil.copytree(base, tmp_path_factory.mktemp("licensed") / "base"))
    (folder / "README.md").write_text(LICENCE)
    return folder


@pytest.fixture(scope="module")
def joint(licensed: Path, flr: Path, qtr: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a stage 3 over an export of stages 1 and 2, all of one step."""
    folder = tmp_path_factory.mktemp("all-stages")
    questions = ("--data.init_args.questions_per_item", "1")
    image = fit("image_router", licensed, flr, folder / "image", *SHORT, *questions)
    semantic = fit("semantic_router", licensed, qtr, folder / "semantic", *SHORT)
    start = export([image, semantic], folder / "start")
    stage = stages(licensed, start, flr, qtr)["joint"]
    lora = ("--model.init_args.language_model", "lora", "--model.init_args.system_prompt", "/no_think")
    assert main([*command(stage, folder / "joint"), *SHORT, *questions, *lora]) == 0
    return folder / "joint" / "checkpoints" / "last.ckpt"


@pytest.fixture(scope="module")
def folder(joint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export([joint], tmp_path_factory.mktemp("exported") / "final")


@pytest.fixture
def hub(licensed: Path) -> Iterator[tuple[LoopbackHub, str]]:
    server = LoopbackHub()
    server.repositories["models/lab/base"] = Repository({path.name: path.read_bytes() for path in licensed.iterdir()})
    with served(server.application) as address:
        yield server, address


def metrics_of(checkpoint: Path) -> dict[str, float]:
    return dict(read_record(checkpoint)[RECORD]["metrics"])


@pytest.mark.slow
def test_a_card_is_read_by_the_hub_s_own_parsers_and_states_the_base_s_licence(folder: Path, joint: Path) -> None:
    card = ModelCard.load(folder / "README.md")
    data: Any = card.data
    assert isinstance(data, ModelCardData)
    assert (data.library_name, data.pipeline_tag) == ("videorouter", "video-text-to-text")
    assert (data.license, data.license_name) == ("other", "somebodys-licence")
    assert data.license_link == "https://example.org/licence"
    results: list[EvalResult] = data.eval_results or []
    found = {one.metric_name: one for one in results}
    assert found["val/answer_loss"].metric_value == metrics_of(joint)["val/answer_loss"]
    assert (found["val/image_auroc"].metric_type, found["val/image_auroc"].dataset_split) == ("roc_auc", "val")
    assert found["val/semantic_accuracy"].dataset_name == "qtr"
    assert {one.task_type for one in results} == {"video-text-to-text"}


@pytest.mark.slow
def test_a_card_says_what_is_inside_with_every_stage_s_metrics_and_settings(folder: Path) -> None:
    card = (folder / "README.md").read_text()
    assert "LoRA adapter of the language model, rank 16, alpha 32" in card
    assert "system_prompt: '/no_think'" in card
    for stage, title in (("image", "Stage 1"), ("semantic", "Stage 2"), ("joint", "Stage 3")):
        settings = yaml.safe_load((folder / f"training-{stage}.yaml").read_text())
        assert settings["model"]["class_path"].startswith("videorouter.train.modules.")
        assert f"`training-{stage}.yaml`" in card
        assert f"### {title}" in card
    assert [one.stage for one in read_history(folder)] == ["image", "semantic", "joint"]
    told = [(bool(one.metrics), one.validated_at, one.step) for one in read_history(folder)]
    assert told == [(True, 1, 1)] * 3


@pytest.mark.slow
def test_a_router_saved_again_keeps_its_history_and_says_what_was_changed(folder: Path, tmp_path: Path) -> None:
    VideoRouter.from_pretrained(folder).rescaled(Scales(8, 1, 16)).save_pretrained(tmp_path / "again")
    assert read_history(tmp_path / "again") == read_history(folder)
    card = (tmp_path / "again" / "README.md").read_text()
    assert "(8; 1, 16)" in card
    assert "| val/image_auroc |" in card


@pytest.mark.slow
def test_a_push_leaves_no_local_path_in_any_file(
    hub: tuple[LoopbackHub, str], folder: Path, licensed: Path, flr: Path, tmp_path: Path
) -> None:
    server, address = hub
    done = push(folder, address, tmp_path / "home", "--base", "lab/base")
    assert done.returncode == 0, done.stderr
    files = server.repositories["models/lab/router"].files
    assert {
        "training-image.yaml",
        "training-joint.yaml",
        "training.json",
        "adapter/adapter_config.json",
    } <= files.keys()
    here = {str(licensed), str(flr), str(folder), os.getcwd(), str(Path.home()) + "/", "pytest-of-"}
    for name, content in files.items():
        assert not [place for place in here if place.encode() in content], name
    assert json.loads(files["adapter/adapter_config.json"])["base_model_name_or_path"] == "lab/base"
    settings = yaml.safe_load(files["training-image.yaml"])
    assert settings["model"]["init_args"]["base"] == "lab/base"
    assert settings["data"]["init_args"]["shards"] == "flr"
    assert settings["checkpoint"]["monitor"] == "val/image_auroc"
    joint = yaml.safe_load(files["training-joint.yaml"])
    assert joint["model"]["init_args"]["system_prompt"] == "/no_think", "text for the model is no path"
    data: Any = ModelCard(files["README.md"].decode()).data
    assert (data.base_model, data.base_model_relation, data.license) == ("lab/base", "adapter", "other")
    assert data.model_name == "router"
    assert 'from_pretrained("lab/router")' in files["README.md"].decode()


@pytest.mark.slow
def test_a_pushed_card_keeps_what_its_owner_wrote(hub: tuple[LoopbackHub, str], folder: Path, tmp_path: Path) -> None:
    server, address = hub
    mine = Path(shutil.copytree(folder, tmp_path / "final"))
    card = (mine / "README.md").read_text().replace("license: other\n", "license: mit\n") + "\nOur own words.\n"
    (mine / "README.md").write_text(card.replace("tags:\n", "language: de\ntags:\n"))
    assert push(mine, address, tmp_path / "home", "--base", "lab/base").returncode == 0
    pushed = ModelCard(server.repositories["models/lab/router"].files["README.md"].decode())
    data: Any = pushed.data
    assert "Our own words." in pushed.text
    assert (data.language, data.license) == ("de", "other"), "the licence is the base's"


@pytest.mark.parametrize("given", ["./nowhere", "a folder"])
@pytest.mark.slow
def test_a_push_names_its_base_by_an_id_of_the_hub(folder: Path, licensed: Path, given: str) -> None:
    with pytest.raises(CheckpointError, match="say under which id the Hub has the base"):
        push_here(folder, "lab/router", base=str(licensed) if given == "a folder" else given)


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o002, 0o664)])
@pytest.mark.slow
def test_files_of_an_export_have_the_modes_that_the_umask_gives(
    joint: Path, tmp_path: Path, umask: int, mode: int
) -> None:
    before = os.umask(umask)
    try:
        out = export([joint], tmp_path / "router")
        VideoRouter.from_pretrained(out).save_pretrained(tmp_path / "saved")
    finally:
        os.umask(before)
    made = [path for folder in (out, tmp_path / "saved") for path in folder.rglob("*") if path.is_file()]
    assert {path.name: path.stat().st_mode & 0o777 for path in made} == dict.fromkeys(
        [path.name for path in made], mode
    )


@pytest.mark.slow
def test_a_language_model_is_exported_in_bfloat16_where_that_is_asked_for(
    joint: Path, folder: Path, flr: Path, tmp_path: Path
) -> None:
    half = export([joint], tmp_path / "half", language_dtype=torch.bfloat16)
    weights = load_file(half / "adapter" / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.bfloat16}
    assert {tensor.dtype for tensor in load_file(half / "model.safetensors").values()} == {torch.float32}
    assert "BF16" in (half / "README.md").read_text()
    whole = load_file(folder / "adapter" / "adapter_model.safetensors")
    assert all(torch.equal(tensor, whole[name].bfloat16()) for name, tensor in weights.items())
    routers = [VideoRouter.from_pretrained(one) for one in (half, folder)]
    torch.testing.assert_close(*(logits_of(one, flr) for one in routers), atol=0.02, rtol=0.02)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/home/someone/runs/video-flr/", "video-flr"),
        ("C:\\data\\video-flr", "video-flr"),
        ("../runs/router", "router"),
        ("s3://bucket/video-flr", "s3://bucket/video-flr"),
        ("hf://datasets/lab/video-flr", "hf://datasets/lab/video-flr"),
        ("file:///home/someone/video-flr", "video-flr"),
        ("lab/router", "lab/router"),
    ],
)
def test_of_a_path_its_last_part_is_told_and_addresses_stay(path: str, told: str) -> None:
    assert elsewhere(path, {"lab/router"}) == told
