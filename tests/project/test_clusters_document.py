"""docs/clusters.md end to end: its array of jobs, under a stand-in for Slurm's commands, and its job on a real Ray cluster."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.project.linked_checkout import linked_checkout
from videorouter.data_builders.building.ledger import Ledger
from videorouter.shards.verify import verify

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```bash\n(.*?)```", (ROOT / "docs" / "clusters.md").read_text(encoding="utf-8"), re.DOTALL)
DRY_RUN, SCRIPT, SUBMIT, VERIFY, RAY = BLOCKS

SBATCH = """#!/bin/bash
# Starts the jobs of an array at one moment, as Slurm may, and waits for all.
for script; do :; done
range=$(sed -n 's/^#SBATCH --array=//p' "$script")
for job in $(seq ${range%-*} ${range#*-}); do
  SLURM_ARRAY_TASK_ID=$job bash "$script" & running+=($!)
done
code=0
for process in "${running[@]}"; do wait "$process" || code=$?; done
exit $code
"""
SRUN = '#!/bin/sh\nexec "$@"\n'


@pytest.fixture
def nodes(world: Path, teacher: str, tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A checkout, and the environment that the document asks for."""
    commands, shared = tmp_path / "bin", tmp_path / "shared"
    commands.mkdir()
    shared.mkdir()
    for name, script in (("sbatch", SBATCH), ("srun", SRUN)):
        (commands / name).write_text(script)
        (commands / name).chmod(0o755)
    shutil.copytree(world / "videos", shared / "videos")
    shutil.copy(world / "questions.jsonl", shared)
    (tmp_path / "checkout").mkdir()
    checkout = linked_checkout(tmp_path / "checkout")
    told = {"SHARED": str(shared), "TEACHER": teacher, "CONFIG": "miniature/flr_annotate", "SHARDS_PER_JOB": "1"}
    path = {"PATH": f"{commands}:{os.environ['PATH']}", "PYTHONPATH": str(checkout), "HF_HUB_OFFLINE": "1"}
    return checkout, os.environ | told | path


def run(line: str, nodes: tuple[Path, dict[str, str]]) -> str:
    checkout, environment = nodes
    done = subprocess.run(line, shell=True, cwd=checkout, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{line}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def questions_of(folder: Path) -> int:
    totals = Ledger(folder).totals()
    assert not verify(folder).problems
    return totals.questions


@pytest.mark.timeout(600)
def test_the_array_builds_the_whole_set_with_one_ledger(nodes: tuple[Path, dict[str, str]]) -> None:
    out = Path(nodes[1]["SHARED"]) / "video-flr"
    assert "GPU-hours" in run(DRY_RUN, nodes)
    assert (out / "questions.index").is_file()
    sampled = Ledger(out).totals().usage.requests
    (nodes[0] / "build.sbatch").write_text(SCRIPT)
    run(SUBMIT, nodes)
    run(VERIFY, nodes)
    assert (out / "manifest.json").is_file()
    assert questions_of(out) == 48
    assert Ledger(out).totals().usage.requests > sampled


@pytest.fixture
def cluster() -> Iterator[str]:
    """The address of a head without cores for tasks and of one node with two."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    made.add_node(num_cpus=2)
    yield made.address
    made.shutdown()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_ray_job_builds_the_whole_set(cluster: str, nodes: tuple[Path, dict[str, str]]) -> None:
    nodes[1]["RAY_ADDRESS"] = cluster
    run(RAY, nodes)
    assert questions_of(Path(nodes[1]["SHARED"]) / "video-flr-ray") == 48
