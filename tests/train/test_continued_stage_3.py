"""A stage 3 that starts from a stage-3 export keeps its language model, whichever way either of them learns."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.loopback.hub import LoopbackHub, Repository
from tests.loopback.serving import served
from tests.routers.test_hub import push
from tests.routers.trained_language import with_language
from tests.train.ranks import ROOT, command, stages
from tests.train.test_joint import logits_of
from tests.train.test_what_is_served import with_weights
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.backbones.language_weights import adapter_tensors
from videorouter.routers.checkpoints.base_identity import CheckpointError
from videorouter.routers.checkpoints.export import export
from videorouter.routers.checkpoints.training_history import read_history
from videorouter.train.__main__ import main
from videorouter.train.modules import JointModule

ONE_STEP = (
    "--trainer.max_steps", "1", "--data.init_args.batch_size", "1", "--data.init_args.questions_per_item", "1",
    "--data.init_args.batches_a_step", "1", "--model.init_args.learning_rate", "1e-3",
)  # fmt: skip


@pytest.fixture(scope="module")
def starts(base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Stage-3 exports, each with a language model that is far from the base's."""
    folder = tmp_path_factory.mktemp("starts")
    modes: Any = ("lora", "full")
    return {mode: with_language(folder / mode, base, mode) for mode in modes}


def trained_from(start: Path, mode: str, base: Path, flr: Path, qtr: Path, out: Path, *options: str) -> Path:
    stage = stages(base, start, flr, qtr)["joint"]
    assert main([*command(stage, out), *ONE_STEP, "--model.init_args.language_model", mode, *options]) == 0
    return out / "checkpoints" / "last.ckpt"


def module_logits(module: JointModule, flr: Path) -> torch.Tensor:
    """As `logits_of`, by the training's module."""
    router = VideoRouter(module.backbone, module.config, module.semantic, module.image)
    return logits_of(router, flr)


@pytest.mark.parametrize(
    ("start", "mode"),
    [
        ("lora", "lora"),
        ("full", "lora"),
        pytest.param("lora", "full", marks=pytest.mark.slow),
        pytest.param("full", "full", marks=pytest.mark.slow),
    ],
)
def test_stage_3_continues_the_language_model_of_a_stage_3_export(
    start: str, mode: Any, starts: dict[str, Path], base: Path, router: Path, flr: Path, qtr: Path, tmp_path: Path
) -> None:
    """It begins where the export stands, moves away from there, and what is exported answers as the module does."""
    close: dict[str, Any] = {"atol": 1e-4, "rtol": 1e-4}
    begun = module_logits(JointModule(str(starts[start]), language_model=mode), flr)
    at_start = logits_of(VideoRouter.from_pretrained(starts[start]), flr)
    torch.testing.assert_close(begun, at_start, **close)
    assert not torch.allclose(begun, logits_of(VideoRouter.from_pretrained(router), flr), atol=1e-2)
    checkpoint = trained_from(starts[start], mode, base, flr, qtr, tmp_path / "joint")
    out = export([checkpoint], tmp_path / "router")
    ended = logits_of(VideoRouter.from_pretrained(out), flr)
    module = with_weights(JointModule(str(starts[start]), language_model=mode), checkpoint)
    torch.testing.assert_close(ended, module_logits(module, flr), **close)
    assert not torch.allclose(ended, at_start, atol=1e-3)
    assert (out / "adapter").is_dir() is (start == mode == "lora")
    assert (out / "language_model").is_dir() is not (start == mode == "lora")


def test_adapters_continue_with_the_settings_that_they_have(starts: dict[str, Path]) -> None:
    module, held = JointModule(str(starts["lora"])), adapter_tensors(starts["lora"])
    assert module.language.lora.rank == 4
    assert all(torch.equal(tensor, held[name]) for name, tensor in module.language.tensors().items())
    with pytest.raises(ValueError, match=r"holds an adapter of lora_rank 4, and this training continues it"):
        JointModule(str(starts["lora"]), lora_rank=8)


def test_adapters_over_a_language_model_that_changed_are_neither_exported_nor_resumed(
    starts: dict[str, Path], base: Path, flr: Path, qtr: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = with_language(tmp_path / "start", base, "full")
    checkpoint = trained_from(start, "lora", base, flr, qtr, tmp_path / "joint")
    plain = ("--resume", str(checkpoint), "--trainer.max_steps", "2", "--model.init_args.routers", str(starts["lora"]))
    stage = stages(base, start, flr, qtr)["joint"]
    settings = ("--model.init_args.language_model", "lora")
    assert main([*command(stage, tmp_path / "again"), *ONE_STEP, *plain, *settings]) == 1
    assert "trained over another language model" in capsys.readouterr().err
    shard = next((start / "language_model").glob("*.safetensors"))
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    with pytest.raises(CheckpointError, match="no longer holds the language model that the adapter was trained over"):
        export([checkpoint], tmp_path / "router")


@pytest.mark.slow
def test_a_card_tells_of_every_training_that_led_to_a_stage_3(
    starts: dict[str, Path], base: Path, flr: Path, qtr: Path, tmp_path: Path
) -> None:
    validating = ("--trainer.limit_val_batches", "1", "--trainer.val_check_interval", "1")
    first = export(
        [trained_from(starts["lora"], "lora", base, flr, qtr, tmp_path / "one", *validating)], tmp_path / "a"
    )
    second = export([trained_from(first, "lora", base, flr, qtr, tmp_path / "two", *validating)], tmp_path / "b")
    card = (second / "README.md").read_text()
    assert card.count("| val/answer_accuracy |") == 2
    assert "(joint-2)" in card
    assert [one.stage for one in read_history(second)] == ["joint", "joint"]
    assert all(one.settings and "JointModule" in one.settings for one in read_history(second))
    assert "LoRA adapter of the language model, rank 4" in card


@pytest.mark.slow
def test_stage_3_starts_from_a_router_on_the_hub(
    starts: dict[str, Path], base: Path, flr: Path, qtr: Path, tmp_path: Path
) -> None:
    hub = LoopbackHub()
    hub.repositories["models/lab/base"] = Repository({path.name: path.read_bytes() for path in base.iterdir()})
    with served(hub.application) as address:
        pushed = push(starts["full"], address, tmp_path / "home", "--base", "lab/base")
        assert pushed.returncode == 0, pushed.stderr
        stage = stages(base, starts["full"], flr, qtr)["joint"]
        arguments = [*command(stage, tmp_path / "out"), *ONE_STEP, "--model.init_args.routers", "lab/router"]
        arguments += ["--model.init_args.language_model", "lora"]
        environment = os.environ | {
            "HF_ENDPOINT": address, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": "hf_test",
            "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_TELEMETRY": "1",
        }  # fmt: skip
        checked, fitted = (
            subprocess.run(
                [sys.executable, "-m", "train", *told], env=environment, text=True, capture_output=True, cwd=ROOT
            )
            for told in (["check", *arguments[1:]], arguments)
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr
        assert fitted.returncode == 0, fitted.stderr
        exporting = ["-m", "routers", "export", "--checkpoint", str(tmp_path / "out" / "checkpoints" / "last.ckpt")]
        exported = subprocess.run(
            [sys.executable, *exporting, "--out", str(tmp_path / "router")],
            env=environment, text=True, capture_output=True, cwd=ROOT,
        )  # fmt: skip
        assert exported.returncode == 0, exported.stderr
    assert (tmp_path / "router" / "language_model").is_dir()
    assert read_history(tmp_path / "router")[-1].hub_ids == ["lab/router"]
