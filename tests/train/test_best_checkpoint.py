"""best.ckpt is the best of a training, whatever was moved, killed or asked for; what cannot be is said before the first step."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.train.scored import METRIC
from videorouter.routers.checkpoints.trained_file import read_record
from videorouter.train.__main__ import main

Fit = Callable[..., int]


@pytest.fixture
def fit(base: Path, qtr: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fit:
    """Train so many epochs of two steps, each validated; scores are those after 2, 4, 6, ... steps."""
    monkeypatch.setenv("VALIDATED", str(tmp_path / "validated"))

    def run(out: Path, epochs: int, scores: list[float], *options: str) -> int:
        monkeypatch.setenv("SCORES", json.dumps({2 * number + 2: score for number, score in enumerate(scores)}))
        return main([
            "fit", "--config", "miniature/semantic_router", "--model", "tests.train.scored.Scored",
            "--model.init_args.base", str(base), "--data.init_args.shards", str(qtr),
            "--model.init_args.learning_rate", "4e-3", "--data.init_args.batch_size", "1",
            "--data.init_args.batches_a_step", "4", "--trainer.limit_train_batches", "8", "--out", str(out),
            "--trainer.max_epochs", str(epochs), "--trainer.check_val_every_n_epoch", "1", "--resume", "auto",
            "--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false", "--trainer.logger", "false",
            "--checkpoint.monitor", METRIC, "--checkpoint.mode", "max", "--trace.folder", str(out / "asked"), *options,
        ])  # fmt: skip

    return run


def step(out: Path, name: str = "best") -> int:
    return int(read_record(out / "checkpoints" / f"{name}.ckpt")["global_step"])


def kept(out: Path) -> list[str]:
    return sorted(path.name for path in (out / "checkpoints").iterdir())


def test_of_several_kept_best_is_the_best(fit: Fit, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert fit(out, 4, [0.5, 0.9, 0.7, 0.6], "--checkpoint.save_top_k", "2") == 0
    assert step(out) == 4
    assert kept(out) == ["best-step-4.ckpt", "best-step-6.ckpt", "best.ckpt", "last.ckpt"]
    shutil.copy(out / "checkpoints" / "best-step-6.ckpt", out / "checkpoints" / "best-step-2.ckpt")  # of a kill
    assert fit(out, 6, [0, 0, 0, 0, 0.8, 0.1], "--checkpoint.save_top_k", "2") == 0
    assert step(out) == 4
    assert kept(out) == ["best-step-10.ckpt", "best-step-4.ckpt", "best.ckpt", "last.ckpt"]


def test_the_best_that_was_kept_alone_is_one_of_several(fit: Fit, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert fit(out, 2, [0.5, 0.9]) == 0
    assert fit(out, 3, [0, 0, 0.7], "--checkpoint.save_top_k", "2") == 0
    assert step(out) == 4
    assert kept(out) == ["best-step-4.ckpt", "best-step-6.ckpt", "best.ckpt", "last.ckpt"]
    assert fit(out, 4, [0, 0, 0, 0.8]) == 0
    assert step(out) == 4


@pytest.mark.parametrize("move", [shutil.move, pytest.param(shutil.copytree, marks=pytest.mark.slow)])
def test_best_stays_best_in_a_folder_that_was_moved_or_copied(
    fit: Fit, move: Callable[..., Any], tmp_path: Path
) -> None:
    assert fit(tmp_path / "out", 2, [0.5, 0.9]) == 0
    move(tmp_path / "out", tmp_path / "other")
    assert fit(tmp_path / "other", 3, [0, 0, 0.7]) == 0
    assert step(tmp_path / "other") == 4
    assert fit(tmp_path / "other", 4, [0, 0, 0, 0.95]) == 0
    assert step(tmp_path / "other") == 8


def test_best_stays_best_where_the_newest_checkpoint_is_older(fit: Fit, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert fit(out, 1, [0.5]) == 0
    shutil.copy(out / "checkpoints" / "last.ckpt", tmp_path / "older")
    assert fit(out, 2, [0, 0.9]) == 0
    shutil.copy(tmp_path / "older", out / "checkpoints" / "last.ckpt")
    assert fit(out, 3, [0, 0.6, 0.8]) == 0
    assert step(out) == 4
    assert read_record(out / "checkpoints" / "best.ckpt")["videorouter"]["metrics"][METRIC] == 0.9


@pytest.mark.parametrize("killed_at", [4, 6], ids=["before_other_steps", "at_the_end"])
def test_a_validation_that_a_kill_interrupted_is_made_before_the_next_step(
    fit: Fit, killed_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, scores = tmp_path / "out", [0.5, 0.9, 0.7] if killed_at == 4 else [0.5, 0.7, 0.9]
    every = ("--last.every_n_train_steps", "1", "--last.save_on_train_epoch_end", "false")
    monkeypatch.setenv("KILLED_AT", str(killed_at))
    with pytest.raises(SystemExit):
        fit(out, 3, scores, *every)
    monkeypatch.delenv("KILLED_AT")
    assert fit(out, 3, scores, *every) == 0
    assert (tmp_path / "validated").read_text().split() == ["2", "4", "6"]
    assert step(out) == killed_at
    assert step(out, "last") == 6
    assert not read_record(out / "checkpoints" / "last.ckpt")["validation_due"]


def test_a_training_that_ends_between_two_moments_of_saving_saves_its_end(fit: Fit, tmp_path: Path) -> None:
    seldom = ("--last.every_n_train_steps", "4", "--last.save_on_train_epoch_end", "false")
    assert fit(tmp_path / "out", 3, [0.9, 0.5, 0.5], *seldom) == 0
    assert step(tmp_path / "out", "last") == 6


def refused(fit: Fit, out: Path, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """The line that a training ends with, which took no step."""
    assert fit(out, 2, [0.5, 0.9], *options) == 1
    assert not list(out.rglob("asked-*.jsonl"))
    return capsys.readouterr().err.splitlines()[-1]


def test_a_metric_that_does_not_exist_is_said_before_the_first_step(
    fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(fit, tmp_path / "out", capsys, "--checkpoint.monitor", "val/semantic_acuracy")
    assert (
        "val/semantic_acuracy: this stage logs no such metric. It logs train/loss, val/semantic_accuracy, val/semantic_loss"
        in line
    )


def test_a_folder_that_cannot_be_written_is_said_before_the_first_step(
    fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "checkpoints").touch()
    assert "checkpoints: a file of that name is in the way" in refused(fit, tmp_path / "out", capsys)


def test_another_metric_than_the_files_were_kept_for_is_refused(
    fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert fit(out, 1, [0.5]) == 0
    shutil.rmtree(out / "asked")
    best = out / "checkpoints" / "best.ckpt"
    line = refused(fit, out, capsys, "--checkpoint.monitor", "train/loss", "--checkpoint.mode", "min")
    assert f"{best} was not the best by train/loss" in line


def test_changed_settings_are_applied_when_a_training_resumes_and_said(
    fit: Fit, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out"
    assert fit(out, 3, [0.5, 0.5, 0.5], "--trainer.max_steps", "4", "--trainer.max_epochs", "9") == 0
    before = read_record(out / "checkpoints" / "last.ckpt")["groups"][0]
    assert before["initial_lr"] == 4e-3
    caplog.clear()
    changed = ("--model.init_args.learning_rate", "1e-3", "--model.init_args.weight_decay", "0.5")
    assert fit(out, 3, [0.5, 0.5, 0.5], *changed) == 0
    after = read_record(out / "checkpoints" / "last.ckpt")["groups"][0]
    assert (after["initial_lr"], after["weight_decay"]) == (1e-3, 0.5)
    assert after["lr"] < 1e-6, "the schedule of six steps is over"
    (said,) = [row.message for row in caplog.records if "other settings" in row.message]
    assert "learning_rate 0.001, not 0.004, weight_decay 0.5, not 0.05, steps 6, not 4" in said
    caplog.clear()
    assert fit(out, 3, [0.5, 0.5, 0.5], *changed) == 0
    assert not [row for row in caplog.records if "other settings" in row.message]
