"""What version 0.1.0 saved loads to what it loaded then, although the packages had other import names.

`0.1.0/` was made by that version: a world, a tiny base, both builds, checkpoints of the three stages, two exports, a run
folder; and `expected.json`, what that version made of them: answers, samples, and each training resumed for an epoch.
"""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from videorouter import ShardDataset, VideoRouter
from videorouter.data_builders.__main__ import main as build
from videorouter.eval.__main__ import main as evaluate
from videorouter.routers.__main__ import main as routers
from videorouter.routers.checkpoints.trained_file import STATE, read_tensors
from videorouter.shards.verify import verify
from videorouter.train.__main__ import main as train
from videorouter.train.cli import parse, with_current_names

SAVED = Path(__file__).parent / "0.1.0"
STAGES = ("image-router", "semantic-router", "joint")


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy, as the current folder: paths in it are relative."""
    folder = tmp_path / "saved"
    shutil.copytree(SAVED, folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    return json.loads((SAVED / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["router", "joint-router"])
def test_router_folders_answer_as_they_did(name: str, saved: Path, expected: dict[str, Any]) -> None:
    router = VideoRouter.from_pretrained(name)
    questions = [json.loads(line) for line in (saved / "world" / "questions.jsonl").read_text().splitlines()][-4:]
    for row, (asked, text, policy, probability, relevance, tokens) in zip(
        questions, expected["answers"][name], strict=True
    ):
        answer = router.answer(Path("world") / row["video"], row["question"], row["options"], budget=80)
        assert row["question"] == asked
        assert (answer.policy, answer.tokens_by_frame) == (policy, tokens)
        assert answer.policy_probability == pytest.approx(probability, abs=1e-3)
        assert answer.relevance == (None if relevance is None else pytest.approx(relevance, abs=1e-3))
        assert answer.text[:8] == text[:8]


@pytest.mark.parametrize("name", ["video-flr", "video-qtr"])
def test_shards_hold_what_they_held(name: str, saved: Path, expected: dict[str, Any]) -> None:
    assert not verify(Path(name)).problems
    read = {
        sample.key: [
            hashlib.sha256(b"".join(sample.jpegs)).hexdigest(),
            [q.model_dump(mode="json") for q in sample.questions],
        ]
        for sample in ShardDataset(name)
    }
    assert read == expected["shards"][name]


def test_a_build_is_resumed_by_the_same_command(saved: Path) -> None:
    """Everything is labelled, so nothing is asked: there is no teacher at that address."""
    before = {path.name: path.read_bytes() for path in (saved / "video-flr").glob("*.tar")}
    arguments = ["flr", "annotate", "--config", "miniature/flr_annotate", "--questions", "world/questions.jsonl"]
    arguments += ["--videos", "world", "--teacher.base_url", "http://127.0.0.1:9/v1", "--out", "video-flr"]
    arguments += ["--videos_per_shard", "2", "--frames", "16", "--quality", "70"]
    assert build(arguments) in (0, 3)
    assert {path.name: path.read_bytes() for path in (saved / "video-flr").glob("*.tar")} == before


@pytest.mark.parametrize("stage", STAGES)
def test_a_training_resumes_from_its_config_and_checkpoint(stage: str, saved: Path, expected: dict[str, Any]) -> None:
    config = Path(stage) / "csv" / "version_0" / "config.yaml"
    assert "class_path: train.modules." in config.read_text()
    options = ["--trainer.limit_val_batches", "0", "--trainer.log_every_n_steps", "1", "--trainer.max_epochs", "2"]
    resumed = ["--resume", f"{stage}/checkpoints/last.ckpt", "--out", f"resumed/{stage}"]
    assert train(["fit", "--config", str(config), *resumed, *options]) == 0
    tensors = read_tensors(Path("resumed") / stage / "checkpoints" / "last.ckpt", STATE)
    assert tensors.keys() == expected["resumed"][stage].keys()
    for name, (total, squares) in expected["resumed"][stage].items():
        there = tensors[name].double()
        assert [float(there.sum()), float(there.pow(2).sum())] == pytest.approx([total, squares], rel=1e-3, abs=1e-3), (
            name
        )


def test_checkpoints_are_exported_to_the_same_tensors(saved: Path) -> None:
    files = [f"{stage}/checkpoints/last.ckpt" for stage in ("image-router", "semantic-router")]
    assert (
        routers(["export", "--checkpoint", *files, "--out", "again", "--threshold", "0.5", "--scales", "[4,1,8]"]) == 0
    )
    assert Path("again/model.safetensors").read_bytes() == Path("router/model.safetensors").read_bytes()


def test_a_run_folder_makes_the_same_tables(saved: Path) -> None:
    assert evaluate(["report", "eval", "--out", "again"]) == 0
    assert Path("again/tables.md").read_text() == Path("report/tables.md").read_text()


@pytest.mark.parametrize("stage", ["image-router", "semantic-router"])
def test_a_config_written_by_a_user_is_parsed_as_before(stage: str, saved: Path) -> None:
    own = yaml.safe_load((saved / "router" / f"training-{stage.split('-')[0]}.yaml").read_text())
    Path("own.json").write_text(json.dumps(own))
    for file in (f"router/training-{stage.split('-')[0]}.yaml", "own.json"):
        asked = parse(["fit", "--config", file]).fit
        assert asked.model.class_path.startswith("videorouter.train.modules.")
        assert asked.data.class_path.startswith("videorouter.train.data.")


SPELLINGS = (
    "{model: {class_path: train.modules.ImageRouterModule}}",
    "model:\n  class_path: &m train.modules.ImageRouterModule\n",
    "model:\n  class_path: # of stage 1\n    train.modules.ImageRouterModule\n",
    "model:\n  class_path : 'train.modules.ImageRouterModule'\n",
    "model:\n  class_path: >-\n    train.modules.ImageRouterModule\n",
    "model:\n  class_path: !!str train.modules.ImageRouterModule\n",
    '{"model": {"class_path" :\n "train.modules.ImageRouterModule"}}',
    "model: train.modules.ImageRouterModule\n",
)


@pytest.mark.parametrize("written", SPELLINGS)
def test_class_paths_are_translated_however_they_are_written(written: str, saved: Path) -> None:
    own = yaml.safe_load((saved / "router" / "training-image.yaml").read_text())
    Path("plain.yaml").write_text(yaml.safe_dump({name: value for name, value in own.items() if name != "model"}))
    Path("model.yaml").write_text(written)
    options = ["--model.init_args.base", "base"]
    asked = parse(["fit", "--config", "model.yaml", *options, "--config", "plain.yaml"]).fit
    assert asked.model.class_path == "videorouter.train.modules.ImageRouterModule"


def test_a_users_own_module_of_that_name_stays() -> None:
    loaded = {"callbacks": [{"class_path": "train.Mine"}, "train.checkpoint_io.TrainedFileIO"], "out": "train.modules"}
    current = {
        "callbacks": [{"class_path": "train.Mine"}, "videorouter.train.checkpoints.checkpoint_io.TrainedFileIO"],
        "out": "train.modules",
    }
    assert with_current_names(loaded) == current
    assert with_current_names(current) == current
