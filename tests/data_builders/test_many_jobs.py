"""Jobs with a shard range each that start at one moment in one folder: none fails, one configuration, counts as of one build."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from tests.data_builders.jobs_at_once import at_one_moment
from videorouter.data_builders.building.config import RunConfig
from videorouter.data_builders.building.ledger import Ledger
from videorouter.data_builders.building.run_folder import RECORD, open_folder
from videorouter.shards.verify import verify
from videorouter.shards.writer import write_atomically

ROOT = Path(__file__).parents[2]


def annotate(world: Path, out: Path, teacher: str, *options: str) -> list[str]:
    command = ["flr", "annotate", "--config", "miniature/flr_annotate", "--questions", str(world / "questions.jsonl")]
    command += ["--videos", str(world), "--teacher.base_url", teacher, "--videos-per-shard", "1", "--out", str(out)]
    return [*command, *options]


def at_once(commands: list[list[str]]) -> tuple[list[int], str]:
    """Their exit codes, and all that they wrote to standard error."""
    command = [sys.executable, "-m", "tests.data_builders.jobs_at_once", json.dumps(commands)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def ranges(shards: int, jobs: int) -> list[str]:
    """`FIRST:END` of each job."""
    cuts = [shards * job // jobs for job in range(jobs + 1)]
    return [f"{first}:{end}" for first, end in pairwise(cuts)]


def counts(out: Path) -> tuple[int, int, int, int]:
    totals = Ledger(out).totals()
    return totals.usage.requests, totals.videos, totals.questions, totals.failures


def shards(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.glob("*.tar"))}


@pytest.fixture(scope="module")
def alone(world: Path, teacher: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One build of the six shards."""
    out = tmp_path_factory.mktemp("alone") / "out"
    assert at_once([annotate(world, out, teacher)])[0] == [0]
    return out


def assert_as_alone(out: Path, alone: Path) -> None:
    assert counts(out) == counts(alone)
    assert shards(out) == shards(alone)
    assert (out / RECORD).read_bytes() == (alone / RECORD).read_bytes()
    assert (out / "manifest.json").read_bytes() == (alone / "manifest.json").read_bytes()
    assert not verify(out).problems
    assert [path.name for path in out.rglob(".*.part")] == []


def test_four_jobs_that_start_at_one_moment_make_what_one_build_does(
    world: Path, teacher: str, alone: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    codes, told = at_once([annotate(world, out, teacher, "--shard-range", part) for part in ranges(6, 4)])
    assert codes == [0] * 4, told
    assert "Traceback" not in told
    assert_as_alone(out, alone)


def opens(out: Path, threshold: int, tries: int, part: str | None = "0:1", new_run: bool = False) -> Callable[[], int]:
    """Opens the folder and works in it until `tries` processes have tried to; 1 where it is refused."""
    tried = out.with_name(f"{out.name}-tried")
    tried.mkdir(exist_ok=True)

    def work() -> int:
        mine = tried / f"{os.getpid()}"
        try:
            with open_folder(out, {"threshold": threshold}, RunConfig(shard_range=part, new_run=new_run), None):
                mine.write_text("")
                while len(list(tried.iterdir())) < tries:
                    time.sleep(0.01)
        except ValueError as error:
            mine.write_text(str(error))
            return 1
        return 0

    return work


def refusals(out: Path) -> set[str]:
    """What was said to those that were refused."""
    return {path.read_text() for path in out.with_name(f"{out.name}-tried").iterdir()} - {""}


def test_of_several_configurations_at_one_moment_one_is_taken(tmp_path: Path) -> None:
    for number in range(4):
        out, wanted = tmp_path / str(number), (50, 60, 70) * 4
        codes = at_one_moment([opens(out, threshold, len(wanted)) for threshold in wanted])
        claimed = json.loads((out / RECORD).read_text())["threshold"]
        assert codes == [0 if threshold == claimed else 1 for threshold in wanted]
        assert all(" was begun with another configuration (" in told for told in refusals(out))


def test_jobs_of_a_new_run_put_the_old_one_aside_once_and_never_under_others(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert at_one_moment([opens(out, 50, 1)]) == [0]
    (out / "train-00000.tar").write_text("a shard")
    assert at_one_moment([opens(out, 60, 7, new_run=True)] * 6) == [0] * 6
    assert [path.name for path in (out / "earlier").iterdir()] == ["0"]
    assert (out / "earlier" / "0" / "train-00000.tar").is_file()
    assert sorted(at_one_moment([opens(out, 70, 9, new_run=True), opens(out, 80, 9, new_run=True)])) == [0, 1]
    assert any("jobs of another configuration work in" in told for told in refusals(out))


def test_a_build_of_all_shards_excludes_others(tmp_path: Path) -> None:
    assert sorted(at_one_moment([opens(tmp_path / "out", 50, 4, part=None)] * 4)) == [0, 1, 1, 1]


def test_what_a_killed_build_was_writing_is_removed_by_the_next(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for folder in (out, out / "rejects", out / "doubts", out / "put-by" / "rejects"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".train-00000.json.0123456789abcdef.part").write_text("half")
    assert opens(out, 50, 1)() == 0
    assert [path.name for path in out.rglob(".*.part")] == []


def test_files_that_several_write_at_one_moment_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "build.json"

    def writes(letter: str) -> Callable[[], None]:
        def work() -> None:
            for _ in range(30):
                write_atomically(path, letter * 50_000)
                text = path.read_text()
                assert text == text[0] * 50_000

        return work

    assert at_one_moment([writes(letter) for letter in "abcdef"]) == [0] * 6
    assert [each.name for each in tmp_path.iterdir()] == ["build.json"]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_twelve_jobs_start_together_twenty_times(teacher: str, tmp_path: Path) -> None:
    from videorouter.miniature.world.build import build_world

    world = tmp_path / "world"
    build_world(world, videos=12, seconds=20, seed=3, questions_per_video=4, splits=(50, 25, 25), workers=1)
    assert at_once([annotate(world, tmp_path / "alone", teacher)])[0] == [0]
    for number in range(20):
        out = tmp_path / f"out-{number}"
        codes, told = at_once([annotate(world, out, teacher, "--shard-range", part) for part in ranges(12, 12)])
        assert codes == [0] * 12, f"start {number}: {told}"
        assert_as_alone(out, tmp_path / "alone")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_jobs_that_probe_leave_it_to_the_first(world: Path, flr: Path, teacher: str, qtr: Path, tmp_path: Path) -> None:
    command = [
        "qtr",
        "--config",
        "miniature/qtr",
        "--questions",
        str(world / "questions.jsonl"),
        "--videos",
        str(world),
    ]
    command += ["--teacher.base_url", teacher, "--relevance", str(flr), "--out", str(tmp_path / "out")]
    codes, told = at_once([[*command, "--shard-range", part] for part in ranges(3, 6)])
    assert set(codes) <= {0, 3}, told
    assert Ledger(tmp_path / "out").totals().usage.requests == Ledger(qtr).totals().usage.requests
    assert (tmp_path / "out" / "probes.json").read_bytes() == (qtr / "probes.json").read_bytes()
