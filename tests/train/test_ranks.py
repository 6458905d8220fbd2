"""However many processes share a training, and whatever strategy they use, its losses and weights are one process's."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.train.ranks import Stage, apart, command, fit_on, losses, stages
from videorouter.routers.checkpoints.trained_file import STATE, read_record, read_tensors
from videorouter.train.__main__ import main

LOSS, WEIGHT = 1e-4, 1e-3
"""Largest difference of a step's loss, relative, and of a weight: sums over ranks round differently, and Adam divides by them."""


@pytest.fixture(scope="module")
def stage(base: Path, router: Path, flr: Path, qtr: Path) -> Callable[[str], Stage]:
    return stages(base, router, flr, qtr).__getitem__


@pytest.fixture(scope="module")
def alone(stage: Callable[[str], Stage], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of one process's training of a stage, trained once."""
    done: dict[str, Path] = {}

    def trained(name: str) -> Path:
        if name not in done:
            out = tmp_path_factory.mktemp("alone") / name
            assert main(command(stage(name), out)) == 0
            done[name] = out
        return done[name]

    return trained


def compare(one: Path, two: Path, last: Path) -> None:
    """The losses of two trainings' folders, and the weights of their last checkpoints."""
    assert losses(two) == pytest.approx(losses(one), rel=LOSS)
    assert apart(last, one / "checkpoints" / "last.ckpt") <= WEIGHT


@pytest.mark.slow
def test_two_ranks_of_zero_2_learn_what_one_process_learns(
    stage: Callable[[str], Stage], alone: Callable[[str], Path], tmp_path: Path
) -> None:
    last = fit_on(2, stage("image_router"), tmp_path / "two", "--trainer.strategy", "deepspeed_2")
    assert len(losses(alone("image_router"))) >= 20
    compare(alone("image_router"), tmp_path / "two", last)


@pytest.mark.slow
def test_the_language_model_learns_alike_when_zero_3_cuts_it_in_two(
    stage: Callable[[str], Stage], tmp_path: Path
) -> None:
    short = ("--trainer.max_epochs", "1", "--trainer.max_steps", "2")
    assert main(command(stage("joint"), tmp_path / "one", *short)) == 0
    last = fit_on(2, stage("joint"), tmp_path / "two", *short, "--trainer.strategy", "deepspeed_3")
    compare(tmp_path / "one", tmp_path / "two", last)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("strategy", ["ddp", "deepspeed_1", "deepspeed_2", "deepspeed_3"])
@pytest.mark.parametrize("name", ["image_router", "semantic_router", "joint"])
def test_every_strategy_learns_every_stage_alike(
    name: str, strategy: str, stage: Callable[[str], Stage], alone: Callable[[str], Path], tmp_path: Path
) -> None:
    last = fit_on(2, stage(name), tmp_path / "two", "--trainer.strategy", strategy)
    assert len(losses(alone(name))) >= 20
    compare(alone(name), tmp_path / "two", last)


@pytest.mark.slow
def test_zero_learns_in_bfloat16_and_keeps_float32_masters(stage: Callable[[str], Stage], tmp_path: Path) -> None:
    short = ("--trainer.max_epochs", "1", "--trainer.precision", "bf16-mixed", "--trainer.strategy", "deepspeed_2")
    last = fit_on(1, stage("joint"), tmp_path / "bf16", *short)
    state = read_tensors(last, STATE)
    assert {tensor.dtype for tensor in state.values()} == {torch.float32}
    layer = next(tensor for name, tensor in state.items() if name.endswith("layers.0.mlp.up_proj.weight"))
    assert not torch.equal(layer, layer.bfloat16().float()), "masters hold more than the computing copy"
    assert all(0 < loss < 20 for loss in losses(tmp_path / "bf16"))


def test_a_training_goes_on_under_another_strategy_and_number_of_ranks(
    stage: Callable[[str], Stage], alone: Callable[[str], Path], tmp_path: Path
) -> None:
    """It had left in the middle of an epoch."""
    out = tmp_path / "taken-up"
    every = ("--last.every_n_train_steps", "1", "--last.save_on_train_epoch_end", "false")
    cut = ("--trainer.callbacks+", "tests.train.leaving.LeaveAfter", "--trainer.callbacks.steps", "5")
    assert main(command(stage("image_router"), out, *every, *cut)) == 0
    assert read_record(out / "checkpoints" / "last.ckpt")["steps"] == 5
    last = fit_on(2, stage("image_router"), out, *every, "--resume", "auto", "--trainer.strategy", "deepspeed_3")
    compare(alone("image_router"), out, last)


@pytest.mark.parametrize("name", ["image_router", "semantic_router"])
def test_everything_trained_has_moved(name: str, alone: Callable[[str], Path]) -> None:
    path = alone(name) / "checkpoints" / "last.ckpt"
    moments = read_tensors(path, "optimizer/")
    trained = {key.rpartition("/")[0] for key in moments}
    assert trained
    assert all(torch.count_nonzero(moments[f"{key}/exp_avg_sq"]) for key in trained)
    assert trained <= read_tensors(path, STATE).keys()


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "deepspeed_2"])
@pytest.mark.parametrize("shadow", ["lora", "full"])
def test_layers_below_the_head_learn_alike_on_two_ranks(
    stage: Callable[[str], Stage], tmp_path: Path, strategy: str, shadow: str
) -> None:
    learning = ("--model.init_args.shadow", shadow, "--model.init_args.cache_features", "false")
    short = (*learning, "--model.init_args.learning_rate", "1.0e-4", "--trainer.max_steps", "4")
    assert main(command(stage("image_router"), tmp_path / "one", *short)) == 0
    last = fit_on(2, stage("image_router"), tmp_path / "two", *short, "--trainer.strategy", strategy)
    compare(tmp_path / "one", tmp_path / "two", last)
