"""What a training logs: its rate, gradient, speed and waiting, in every logger; and lines where there is no terminal."""

import csv
import re
from pathlib import Path

import pytest

from tests.train.ranks import semantic_steps
from videorouter.train.__main__ import main


@pytest.fixture(scope="module")
def logged(base: Path, router: Path, flr: Path, qtr: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training of four steps."""
    out = tmp_path_factory.mktemp("logged") / "out"
    epochs = ("--trainer.max_epochs", "2", "--trainer.check_val_every_n_epoch", "1", "--trainer.log_every_n_steps", "1")
    arguments = semantic_steps(base, router, flr, qtr, 8, *epochs, "--out", str(out))
    assert main([*arguments, "--throughput.every_n_steps", "2"]) == 0
    return out


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "csv" / "version_0" / "metrics.csv").open() as lines:
        return list(csv.DictReader(lines))


def test_rate_and_gradient_of_every_step_are_logged(logged: Path) -> None:
    steps = [row for row in rows(logged) if row["train/loss"]]
    assert len(steps) == 4
    rates = [float(row["train/rate"]) for row in steps]
    assert rates[0] == max(rates) == pytest.approx(1e-3)
    assert all(float(row["train/gradient_norm"]) > 0 for row in steps)


def test_speed_is_told_apart_from_waiting_for_data(logged: Path) -> None:
    told = [row for row in rows(logged) if row.get("speed/step_seconds")]
    assert len(told) == 2
    for row in told:
        step, data = float(row["speed/step_seconds"]), float(row["speed/data_seconds"])
        assert 0 < data < step
        assert float(row["speed/waiting"]) == pytest.approx(data / step, rel=1e-3)


def test_the_same_figures_are_in_tensorboard_files(logged: Path) -> None:
    (file,) = (logged / "tensorboard").rglob("events.out.*")
    content = file.read_bytes()
    assert all(name in content for name in (b"train/loss", b"train/rate", b"speed/step_seconds", b"val/semantic_loss"))


def test_the_settings_are_kept_in_the_folder(logged: Path) -> None:
    assert "batches_a_step: 4" in (logged / "config.yaml").read_text()


def test_without_a_terminal_progress_is_a_line_every_so_many_steps(
    base: Path, router: Path, flr: Path, qtr: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    once = ("--trainer.max_epochs", "1", "--trainer.log_every_n_steps", "2", "--out", str(tmp_path))
    assert main(semantic_steps(base, router, flr, qtr, 16, *once)) == 0
    lines = [line for line in capfd.readouterr().out.splitlines() if line.startswith("step ")]
    assert len(lines) == 2
    assert re.fullmatch(r"step 4 of 4, epoch 0: loss [\d.e-]+, .*\d:\d\d:\d\d left", lines[1])
