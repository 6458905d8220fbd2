"""Flags of Lightning's that turn something off, or end a training early, do so; what contradicts a promise is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.train.ranks import semantic_steps
from videorouter.routers.checkpoints.trained_file import read_record
from videorouter.train.__main__ import main
from videorouter.train.logs.trace import asked_by_step

Fit = Callable[..., int]


@pytest.fixture
def fit(base: Path, router: Path, flr: Path, qtr: Path, tmp_path: Path) -> Fit:
    """Stage 2 in two epochs of two steps of four batches."""
    epochs = ("--trainer.max_epochs", "2", "--trainer.check_val_every_n_epoch", "1", "--out", str(tmp_path / "out"))
    arguments = semantic_steps(base, router, flr, qtr, 8, *epochs)
    return lambda *options: main([*arguments, *options])


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def kept(out: Path) -> set[str]:
    return {path.name for path in (out / "checkpoints").glob("*")}


def steps(out: Path) -> int:
    return int(read_record(out / "checkpoints" / "last.ckpt")["steps"])


BOTH = {"best.ckpt", "last.ckpt"}


def test_without_checkpoints_nothing_is_saved(fit: Fit, out: Path) -> None:
    assert fit("--trainer.enable_checkpointing", "false") == 0
    assert not kept(out)
    assert (out / "csv").is_dir()


@pytest.mark.parametrize("flag", ["enable_progress_bar", "enable_model_summary"])
def test_the_terminal_is_quiet_where_that_is_asked(
    fit: Fit, out: Path, flag: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert fit(f"--trainer.{flag}", "false") == 0
    told = capfd.readouterr().out
    assert ("epoch" not in told) if flag == "enable_progress_bar" else ("Trainable params" not in told)
    assert kept(out) == BOTH


def test_without_loggers_there_are_no_logs(fit: Fit, out: Path) -> None:
    assert fit("--trainer.logger", "false") == 0
    assert {path.name for path in out.iterdir()} == {"checkpoints", "config.yaml", "run.log"}
    assert kept(out) == BOTH


def test_bare_bones_leave_nothing(fit: Fit, out: Path) -> None:
    assert fit("--trainer.barebones", "true") == 0
    assert {path.name for path in out.iterdir()} == {"config.yaml", "run.log"}


@pytest.mark.parametrize("asked", ["true", "3"])
def test_a_development_run_saves_nothing(fit: Fit, out: Path, asked: str) -> None:
    assert fit("--trainer.fast_dev_run", asked) == 0
    assert not kept(out)


@pytest.mark.parametrize(
    ("flag", "limit"),
    [("limit_val_batches", limit) for limit in ("0", "1", "0.5")]
    + [
        pytest.param(f"limit_{split}_batches", limit, marks=pytest.mark.slow)
        for split in ("test", "predict")
        for limit in ("0", "1", "0.5")
    ],
)
def test_limits_of_other_splits_limit_them(fit: Fit, out: Path, flag: str, limit: str) -> None:
    if limit != "0" and flag != "limit_val_batches":
        pytest.skip("no such split is read while training")
    assert fit(f"--trainer.{flag}", limit) == 0
    assert kept(out) == ({"last.ckpt"} if (flag, limit) == ("limit_val_batches", "0") else BOTH)
    assert steps(out) == 4


def test_a_number_of_steps_ends_a_training_and_its_schedule(fit: Fit, out: Path) -> None:
    assert fit("--trainer.max_steps", "3") == 0
    record = read_record(out / "checkpoints" / "last.ckpt")
    assert record["steps"] == record["settings"]["steps"] == 3
    assert record["groups"][0]["lr"] < 1e-9


def test_a_time_ends_a_training_and_what_it_did_is_saved(fit: Fit, out: Path) -> None:
    assert fit("--trainer.max_epochs", "5000", "--trainer.max_time", "00:00:00:05", "--last.every_n_train_steps", "5000",
               "--last.save_on_train_epoch_end", "false", "--trainer.enable_progress_bar", "false") == 0  # fmt: skip
    assert 0 < steps(out) < 10_000


def test_a_checkpoint_in_the_middle_of_a_step_is_resumed_at_its_beginning(fit: Fit, out: Path, tmp_path: Path) -> None:
    def traced(name: str, *options: str) -> dict[int, list[tuple[str, ...]]]:
        assert fit(*options, "--trace.folder", str(tmp_path / name)) == 0
        return asked_by_step([tmp_path / name])

    whole = traced("whole", "--trainer.val_check_interval", "6", "--trainer.max_epochs", "1")
    assert read_record(out / "checkpoints" / "best.ckpt")["steps"] == 1
    resumed = traced("resumed", "--resume", str(out / "checkpoints" / "best.ckpt"), "--trainer.max_epochs", "1")
    assert resumed == {1: whole[1]}


def test_plugins_that_are_asked_for_leave_checkpoints_as_they_are(fit: Fit, out: Path) -> None:
    assert fit("--trainer.plugins", "pytorch_lightning.plugins.MixedPrecision", "--trainer.plugins.precision", "bf16-mixed",
               "--trainer.plugins.device", "cpu") == 0  # fmt: skip
    assert kept(out) == BOTH
    assert steps(out) == 4


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            ("--trainer.limit_train_batches", "6"),
            "in the middle of an optimizer step, which takes 4: give a multiple of 4",
        ),
        (("--trainer.accumulate_grad_batches", "3"), "contradicts --data.init_args.batches_a_step 4"),
        (
            ("--trainer.max_epochs", "-1", "--trainer.max_time", "00:01:00:00"),
            "nothing says how many steps the training has",
        ),
        (("--trainer.reload_dataloaders_every_n_epochs", "1"), "leave it out"),
        (("--last.monitor", "val/semantic_loss"), "last.ckpt is the newest"),
        (("--trainer.barebones", "true", "--trainer.fast_dev_run", "true"), "barebones"),
        (("--trainer.barebones", "true", "--trainer.enable_checkpointing", "true"), "barebones"),
    ],
)
def test_a_flag_that_contradicts_a_promise_is_refused_before_the_first_step(
    fit: Fit, out: Path, options: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(*options, "--trace.folder", str(out / "asked")) == 1
    assert told in capsys.readouterr().err.splitlines()[-1]
    assert not (out / "asked").exists()
