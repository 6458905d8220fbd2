"""Every shipped YAML parses against the code that reads it, and is found from anywhere."""

from pathlib import Path

import pytest

from videorouter.command_line import find_config, shipped_configs

NAMES = shipped_configs()
BUILDERS = {
    "flr_annotate": ["flr", "annotate", "--questions", "q", "--videos", "v", "--out", "o"],
    "flr_generate": ["flr", "generate", "--videos", "v", "--out", "o"],
    "flr_spans": ["flr", "spans", "--questions", "q", "--videos", "v", "--out", "o"],
    "flr_splice": ["flr", "splice", "--videos", "v", "--out", "o"],
    "qtr": ["qtr", "--questions", "q", "--videos", "v", "--out", "o"],
}


def test_the_shipped_configs_are_listed() -> None:
    assert {name.split("/")[0] for name in NAMES} == {"build", "train", "eval", "miniature"}


@pytest.mark.parametrize("name", [name for name in NAMES if Path(name).stem in BUILDERS])
def test_builder_configs_parse(name: str) -> None:
    from videorouter.data_builders.__main__ import parser
    from videorouter.data_builders.teacher.config import TeacherConfig

    command = BUILDERS[Path(name).stem]
    split = 2 if command[0] == "flr" else 1
    parsed = parser().parse_args([*command[:split], "--config", str(find_config(name)), *command[split:]])
    options = parsed[command[0]] if split == 1 else parsed[command[0]][command[1]]
    assert options.frames == 64
    if "teacher" in options:
        TeacherConfig(**options.as_dict()["teacher"])


STAGES = [name for name in NAMES if Path(name).stem in ("image_router", "semantic_router", "joint")]
MACHINES = [name for name in NAMES if Path(name).stem.startswith("gpus_")]


@pytest.mark.parametrize("name", STAGES)
def test_training_configs_parse(name: str) -> None:
    from videorouter.train.cli import parse

    parsed = parse(["fit", "--config", str(find_config(name))])
    assert parsed.fit.model.init_args.get("base") or parsed.fit.model.init_args.routers
    assert parsed.fit.checkpoint.dirpath.endswith("/checkpoints")


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("stage", [name for name in STAGES if name.startswith("train/")])
def test_machine_configs_stand_beside_every_stage_and_its_steps_are_shared_equally(stage: str, machine: str) -> None:
    from videorouter.train.cli import parse

    trainer = parse(["fit", "--config", str(find_config(stage)), "--config", str(find_config(machine))]).fit
    ranks = trainer.trainer.devices * trainer.trainer.num_nodes
    assert machine.endswith({1: "gpus_1.yaml", 8: "gpus_8.yaml", 32: "gpus_4x8.yaml"}[ranks])
    assert trainer.data.init_args.batches_a_step % ranks == 0


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("eval/")])
def test_eval_configs_parse(name: str) -> None:
    from videorouter.eval.__main__ import parser

    parsed = parser().parse_args(["run", "--config", str(find_config(name))])
    assert "videorouter" in parsed.run.systems


def test_every_config_is_parsed_by_a_test_above() -> None:
    parsed = {*STAGES, *MACHINES, *(name for name in NAMES if Path(name).stem in BUILDERS or name.startswith("eval/"))}
    assert parsed == set(NAMES)


def test_a_config_is_found_by_name_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = find_config("configs/train/image_router.yaml")
    assert shipped.is_file()
    assert find_config("train/image_router") == shipped
    (tmp_path / "own.yaml").write_text("frames: 8")
    assert find_config("own.yaml") == Path("own.yaml")
    with pytest.raises(FileNotFoundError, match="train/image_router"):
        find_config("train/nothing")
