"""Every command that checks a base takes another one with `--accept-base`, and says in a line what differs."""

import json
import logging
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from videorouter.eval.__main__ import main as evaluate
from videorouter.routers.__main__ import main as routers
from videorouter.routers.answering.video_router import VideoRouter
from videorouter.routers.checkpoints.base_content import BASE, content_here
from videorouter.routers.checkpoints.base_identity import CheckpointError, weights_hash
from videorouter.routers.checkpoints.router_folder import read_config
from videorouter.routers.checkpoints.trained_file import read_record
from videorouter.train.__main__ import main as train

ROOT = Path(__file__).parents[2]
SAVED = ROOT / "tests" / "saved" / "0.1.0"
ASK = ["answer", "--question", "Which?", "--video", "world/videos/miniature-0000.mp4", "--max-new-tokens", "2"]
FEW = ["--trainer.max_epochs", "1", "--trainer.limit_val_batches", "0", "--trainer.max_steps", "1"]
SHARDS = [
    "--data.init_args.shards",
    "video-flr",
    "--data.init_args.batch_size",
    "2",
    "--data.init_args.batches_a_step",
    "1",
]
JOINT = ["--config", "miniature/joint", *SHARDS, "--data.init_args.more_labels", "video-qtr", *FEW]
JOINT += ["--model.init_args.routers", "router", "--model.init_args.base", "tuned", "--out", "joint"]
TOLD = "and accepted: it differs in 1 of"


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What 0.1.0 saved, as the current folder, and in `tuned` its base with one tensor changed."""
    folder = tmp_path / "saved"
    shutil.copytree(SAVED, folder)
    shutil.copytree(folder / "base", folder / "tuned")
    tensors = load_file(folder / "tuned" / "model.safetensors")
    name = next(name for name in tensors if name.endswith("lm_head.weight"))
    save_file(tensors | {name: tensors[name] + 0.01}, folder / "tuned" / "model.safetensors")
    monkeypatch.chdir(folder)
    return folder


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [message for message in caplog.messages if TOLD in message]
    caplog.clear()
    return found


def test_answer_and_eval_run_take_it(saved: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "videorouter"):
        assert routers([*ASK, "--model", "router", "--base", "tuned"]) == 1
        assert not said(caplog)
        assert routers([*ASK, "--model", "router", "--base", "tuned", "--accept-base"]) == 0
        assert len(said(caplog)) == 1
        run = [
            "run",
            "--config",
            "eval/miniature",
            "--model",
            "router",
            "--base",
            "tuned",
            "--data",
            "world",
            "--out",
            "run",
        ]
        run += ["--frames", "4", "--limit", "1", "--systems", "[videorouter]", "--router-quality", "false"]
        assert evaluate(run) == 1
        assert evaluate([*run, "--accept-base"]) == 0
        assert len(said(caplog)) == 1
    manifest = json.loads(Path("run/manifest.json").read_text())
    assert manifest["models"]["router"]["sha256"] == weights_hash("tuned"), "the base that answered is named"


def test_a_joint_training_takes_it(
    saved: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.WARNING, "videorouter"):
        assert train(["check", *JOINT]) == 1
        assert "--accept-base" in " ".join(capsys.readouterr().out.split())
        assert train(["fit", *JOINT]) == 1
        assert train(["check", *JOINT, "--accept-base"]) == 0
        assert len(said(caplog)) == 1
        assert train(["fit", *JOINT, "--accept-base"]) == 0
        assert len(said(caplog)) == 1
    record = read_record(Path("joint/checkpoints/last.ckpt"))
    assert record["videorouter"]["base"]["sha256"] == weights_hash("tuned")


def test_a_training_is_resumed_over_it(saved: Path, caplog: pytest.LogCaptureFixture) -> None:
    options = [
        "--config",
        "image-router/csv/version_0/config.yaml",
        "--model.init_args.base",
        "tuned",
        "--out",
        "resumed",
    ]
    options += ["--resume", "image-router/checkpoints/last.ckpt", "--trainer.max_epochs", "2"]
    options += ["--trainer.limit_val_batches", "0"]
    with caplog.at_level(logging.WARNING, "videorouter"):
        assert train(["check", *options]) == 1
        assert train(["fit", *options]) == 1
        assert train(["check", *options, "--accept-base"]) == 0
        assert len(said(caplog)) == 1
        assert train(["fit", *options, "--accept_base"]) == 0
        assert len(said(caplog)) == 1


def test_an_export_lists_its_base_and_takes_a_changed_one(saved: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = [f"{stage}/checkpoints/last.ckpt" for stage in ("image-router", "semantic-router")]
    export = ["export", "--checkpoint", *files, "--threshold", "0.5"]
    assert routers([*export, "--out", "exported"]) == 0
    content = content_here("base")
    assert content is not None
    assert read_config(Path("exported")).base.tensors == content.total
    assert json.loads(Path("exported", BASE).read_text())["tensors"].keys() == content.shapes.keys()
    shutil.rmtree("base")
    Path("tuned").rename("base")
    with caplog.at_level(logging.WARNING, "videorouter"):
        assert routers([*ASK, "--model", "exported"]) == 1
        assert routers([*ASK, "--model", "exported", "--accept-base"]) == 0
        assert len(said(caplog)) == 1
    assert routers([*export, "--out", "again"]) == 1
    assert routers([*export, "--out", "again", "--accept-base"]) == 0
    assert read_config(Path("again")).base.sha256 == weights_hash("base")


def test_a_base_of_another_width_cannot_be_taken(saved: Path) -> None:
    with pytest.raises(CheckpointError, match="or give the base that it was trained on"):
        VideoRouter.from_pretrained("router", base=str(ROOT / "miniature" / "shipped" / "dense"), accept_base=True)
