"""The GPU figures are taken by a bare checkout: torch and transformers, none of what a lent machine lacks."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LACKING = ("deepspeed", "decord", "av", "webdataset", "datasets", "pydantic", "jsonargparse", "pytorch_lightning")
RUN = """
import runpy, sys
for name in sys.argv[1].split():
    sys.modules[name] = None
sys.argv = ["gpu", "--device", "cpu", "--geometry", "tiny", "--rounds", "1", "--out", sys.argv[2]]
runpy.run_module("benchmarks.gpu", run_name="__main__")
"""


@pytest.mark.slow
def test_every_part_runs_without_what_is_lacking_there(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, "-c", RUN, " ".join(LACKING), str(out)], cwd=ROOT, capture_output=True, text=True
    )
    assert out.is_file(), done.stderr[-2000:]
    parts = json.loads(out.read_text())["parts"]
    assert not [name for name, rows in parts.items() if "failed" in rows], done.stderr[-2000:]
    assert {"dense", "videorouter (2;1,4) full", "videorouter (4;1,8) screened"} <= parts[
        "seconds to the first token"
    ].keys()
    assert parts["pictures against the image processor"]["ours"]["held"]
