"""A rank that resumes reads its part of a checkpoint, and holds no more of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.train.ranks import ROOT, apart, free_port
from tests.train.resumed_ranks import LAYERS, WIDTH

TENSOR = WIDTH * WIDTH * 4
WHOLE = 3 * LAYERS * TENSOR
"""Masters and two moments: 604 MB."""


def ranks(count: int, *arguments: str) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu", "PYTHONWARNINGS": "ignore"}
    torchrun = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc_per_node",
        str(count),
        "--master_port",
        str(free_port()),
    ]
    done = subprocess.run(
        [*torchrun, "-m", "tests.train.resumed_ranks", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("stage", [2, 3])
def test_two_ranks_read_half_of_it_each(stage: int, tmp_path: Path) -> None:
    """With ZeRO-2 also the whole copy that computes, a tensor at a time."""
    ranks(2, str(tmp_path / "saved"), str(stage), "1")
    ranks(2, str(tmp_path / "again"), str(stage), "1", str(tmp_path / "saved.ckpt"))
    assert apart(tmp_path / "saved.ckpt", tmp_path / "again.ckpt") == 0
    copied = LAYERS * TENSOR if stage == 2 else 0
    for rank in range(2):
        noted = json.loads((tmp_path / f"again-{rank}.json").read_text())
        assert noted["growth"] <= WHOLE / 2 + 2 * TENSOR + 100e6, noted
        assert noted["read"] <= WHOLE / 2 + copied + 5e6, noted


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_parts_of_two_ranks_are_resumed_by_three_and_by_one(tmp_path: Path) -> None:
    ranks(2, str(tmp_path / "two"), "3", "1")
    ranks(3, str(tmp_path / "three"), "2", "1", str(tmp_path / "two.ckpt"))
    ranks(1, str(tmp_path / "one"), "1", "1", str(tmp_path / "three.ckpt"))
    assert apart(tmp_path / "two.ckpt", tmp_path / "three.ckpt") == 0
    assert apart(tmp_path / "two.ckpt", tmp_path / "one.ckpt") == 0
