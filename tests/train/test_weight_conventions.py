"""What decays, what is dropped, where adapters are put, and what a training begins with: as the field does it, and as asked."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.routers.trained_language import with_language
from tests.train.test_training import fit
from videorouter.routers.checkpoints.export import export
from videorouter.routers.checkpoints.trained_file import OPTIMIZER, STATE, read_record, read_tensors
from videorouter.train.__main__ import main
from videorouter.train.checkpoints.checkpoint_io import TRAINABLES
from videorouter.train.data import AnswerData
from videorouter.train.modules import ImageRouterModule, JointModule
from videorouter.train.optimizing.optimizer_groups import Group, regroup_optimizer

SHORT = ("--trainer.max_steps", "1", "--trainer.limit_val_batches", "0")
ATTENTION = r".*language_model\.layers\.\d+\.self_attn\.(q|v)_proj"


@pytest.mark.parametrize("everything", [False, True])
def test_norms_and_biases_do_not_decay_unless_that_is_asked_for(router: Path, everything: bool) -> None:
    module = JointModule(str(router), language_model="full", decay_norms_and_biases=everything)
    tensors = module.trained_tensors()
    groups = module.optimizer_groups()
    assert {rate: len([one for one in groups if one.rate == rate]) for rate in (5e-6, 5e-5)} == dict.fromkeys(
        (5e-6, 5e-5), 1 if everything else 2
    )
    for group in groups:
        assert {tensors[name].dim() > 1 or everything for name in group.names} == {group.decay > 0}
    kept = [name for group in groups if not group.decay for name in group.names]
    assert everything or {name.rpartition(".")[2] for name in kept} == {"weight", "bias"}, "norms and biases"


def test_a_training_resumed_with_other_groups_keeps_its_moments_and_decays_as_asked(
    base: Path, flr: Path, tmp_path: Path
) -> None:
    every = ("--model.init_args.decay_norms_and_biases", "true", "--trainer.max_steps", "2", *SHORT[2:])
    first = fit("image_router", base, flr, tmp_path / "one", *every).with_name("last.ckpt")
    matrices = ("--model.init_args.decay_norms_and_biases", "false")
    resumed = (*matrices, "--resume", str(first), "--trainer.max_steps", "3", "--trainer.max_epochs", "9", *SHORT[2:])
    last = fit("image_router", base, flr, tmp_path / "two", *resumed).with_name("last.ckpt")
    before, after = read_record(first), read_record(last)
    assert [len(one["group_sizes"]) for one in (before, after)] == [1, 2]
    assert [one["weight_decay"] for one in after["groups"]] == [3.2, 0.0]
    assert after["steps"] == 3
    old, new = (read_tensors(path, OPTIMIZER) for path in (first, last))
    assert old.keys() == new.keys()
    name = "image.layers.0.bias/exp_avg_sq"
    assert torch.all(new[name] >= 0.99 * old[name]), "second moments continue from the saved ones"


def test_moments_stay_with_the_tensor_that_they_are_of() -> None:
    checkpoint: dict[str, Any] = {
        TRAINABLES: ["a", "b", "c"],
        "group_sizes": [2, 1],
        "optimizer_states": [
            {"state": {0: "of a", 1: "of b", 2: "of c"}, "param_groups": [{"lr": 1.0}, {"lr": 2.0}]},
        ],
    }
    regroup_optimizer(checkpoint, [Group(1.0, 0.1, ("b",)), Group(2.0, 0.0, ("c", "a"))])
    (optimizer,) = checkpoint["optimizer_states"]
    assert optimizer["state"] == {0: "of b", 1: "of c", 2: "of a"}
    assert optimizer["param_groups"] == [{"lr": 1.0, "params": [0]}, {"lr": 2.0, "params": [1, 2]}]


def test_adapters_are_put_where_the_targets_say(router: Path) -> None:
    module = JointModule(str(router), lora_targets=ATTENTION, lora_rank=2)
    layers = module.backbone.model.config.text_config.num_hidden_layers
    assert len(module.language.tensors()) == layers * 2 * 2
    for targets in (r".*vision_tower.*", r"nothing", r"("):
        with pytest.raises(ValueError, match="LoRA targets"):
            JointModule(str(router), lora_targets=targets)


@pytest.mark.parametrize("checkpointing", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_adapters_drop_their_input_while_they_learn_and_at_no_other_time(
    base: Path, flr: Path, qtr: Path, tmp_path: Path, checkpointing: bool
) -> None:
    start = with_language(tmp_path / "start", base, "lora")
    data = AnswerData(str(flr), str(qtr), batch_size=1, questions_per_item=1)
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    module = JointModule(str(start), lora_dropout=0.5, gradient_checkpointing=checkpointing)
    module.setup("fit")

    def losses() -> list[float]:
        return [float(module.losses(batch)["answers"][1].detach()) for _ in range(3)]

    module.on_train_batch_start(batch, 0)
    assert len(set(losses())) == 3
    module.on_validation_epoch_start()
    assert len(set(losses())) == 1


@pytest.fixture(scope="module")
def two(base: Path, flr: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Checkpoints of two trainings that differ in their seed."""
    folder = tmp_path_factory.mktemp("two")
    return [
        fit("image_router", base, flr, folder / seed, *SHORT, "--seed_everything", seed).with_name("last.ckpt")
        for seed in ("1", "2")
    ]


def test_a_training_begins_with_the_mean_of_the_weights_it_is_given(
    two: list[Path], base: Path, flr: Path, qtr: Path, tmp_path: Path
) -> None:
    still = (*SHORT, "--model.init_args.learning_rate", "0.0", "--init-from", *map(str, two))
    last = fit("image_router", base, flr, tmp_path / "out", *still).with_name("last.ckpt")
    first, second, mean = (read_tensors(path, STATE) for path in (*two, last))
    for name, tensor in mean.items():
        torch.testing.assert_close(tensor, (first[name] + second[name]) / 2)
    semantic = fit("semantic_router", base, qtr, tmp_path / "semantic", *SHORT).with_name("last.ckpt")
    folder = export([two[0], semantic], tmp_path / "router")
    module = ImageRouterModule(str(base))
    module.start_from([folder])
    assert all(torch.equal(tensor, first[name]) for name, tensor in module.trained_tensors().items())


def test_weights_that_do_not_fit_are_refused_with_their_name(
    two: list[Path], base: Path, qtr: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["fit", "--config", "miniature/semantic_router", "--model.init_args.base", str(base)]
    arguments += ["--data.init_args.shards", str(qtr), "--out", str(tmp_path / "out"), "--init-from", str(two[0])]
    assert main(arguments) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith(f"error: --init-from {two[0]} does not hold what is trained here")


@pytest.mark.parametrize("subcommand", ["validate", "test", "predict"])
def test_what_is_not_there_is_not_offered(subcommand: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert subcommand not in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main([subcommand, "--config", "miniature/image_router"])
    assert ended.value.code == 2
    assert f"invalid choice: '{subcommand}'" in capsys.readouterr().err
