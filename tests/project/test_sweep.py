"""The example's sweep trains each k once, tries thresholds and scales, goes on where it stopped, and says what no trial beats."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHORT = (
    "--trainer.max_epochs 1 --trainer.check_val_every_n_epoch 1 "
    "--data.init_args.batch_size 2 --data.init_args.batches_a_step 2"
)


def sweep(out: Path, trials: int, base: Path, flr: Path, qtr: Path, world: Path) -> str:
    options = [
        "--base", base, "--flr", flr, "--qtr", qtr, "--data", world, "--out", out, "--trials", trials,
        "--image_config", "miniature/image_router", "--semantic_config", "miniature/semantic_router", "--layers", "[1,2]",
        "--train_options", SHORT,
        "--eval_options", "--limit 4",
    ]  # fmt: skip
    command = [sys.executable, ROOT / "examples" / "sweep" / "sweep.py", *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "120"}
    done = subprocess.run([*map(str, command)], env=environment, capture_output=True, text=True, cwd=out.parent)
    log = out / "sweep.log"
    assert done.returncode == 0, done.stderr[-2000:] + (log.read_text()[-3000:] if log.exists() else "")
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_it_goes_on_where_it_stopped(base: Path, flr: Path, qtr: Path, world: Path, tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    assert "no trial beats these in both" in sweep(out, 2, base, flr, qtr, world)
    trained = {path: path.stat().st_mtime for path in out.glob("k-*/*/trained")}
    shutil.rmtree(out / "trials" / "0000")
    sweep(out, 4, base, flr, qtr, world)
    assert len(list((out / "trials").iterdir())) == 3, "two more, and the earlier one was not tried again"
    assert all(path.stat().st_mtime == when for path, when in trained.items()), "no k was trained twice"
