"""An interrupted run resumes and ends as an unbroken one; what cannot be answered is reported and costs no more."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.train.ranks import free_port
from videorouter.eval.__main__ import main
from videorouter.eval.config import ReportConfig
from videorouter.eval.report.files import write_report
from videorouter.eval.run_folder import FAILURES, MANIFEST, PREDICTIONS, VIDEOS, read_rows, read_run

SYSTEMS = ("--systems", '["videorouter", "frame_budget", "uniform_pooling", "dense"]')


def command(world: Path, router: Path, out: Path) -> list[str]:
    options = [
        "--model",
        str(router),
        "--data",
        str(world),
        "--out",
        str(out),
        "--limit",
        "8",
        "--validation_limit",
        "4",
    ]
    return ["run", "--config", "eval/miniature", *options, *SYSTEMS, "--router_quality", "false"]


@pytest.fixture(scope="module")
def whole(world: Path, router: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    assert main(command(world, router, out)) == 0
    return out


def answers(run: Path) -> list[dict[str, Any]]:
    """Without what a clock says."""
    return [{**row, "seconds_by_stage": None} for row in read_rows(run / PREDICTIONS)]


def moved(manifest: Path, out: Path) -> dict[str, Any]:
    """A run's manifest as if it had been asked for in another folder."""
    told: dict[str, Any] = json.loads(manifest.read_text())
    told["config"]["out"] = str(out)
    return told


def test_a_run_resumes_from_what_was_answered_and_asks_a_torn_line_again(
    whole: Path, world: Path, router: Path, tmp_path: Path
) -> None:
    lines = (whole / PREDICTIONS).read_text().splitlines(keepends=True)
    (tmp_path / "answered-0.jsonl").write_text("".join(lines[:17]) + lines[17][:40])
    (tmp_path / MANIFEST).write_text(json.dumps(moved(whole / MANIFEST, tmp_path)))
    assert main(command(world, router, tmp_path)) == 0
    assert answers(tmp_path) == answers(whole)
    kept = [row["seconds_by_stage"] for row in read_rows(whole / PREDICTIONS)[:17]]
    assert [row["seconds_by_stage"] for row in read_rows(tmp_path / PREDICTIONS)[:17]] == kept
    assert read_rows(tmp_path / VIDEOS) == read_rows(whole / VIDEOS)
    assert table(whole) == table(tmp_path)


def table(run: Path) -> list[dict[str, str]]:
    """The report's rows without what a clock says."""
    page = write_report([run], ReportConfig(out=run / "report", questions=0))
    with (page.parent / "tables.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def test_another_configuration_does_not_go_on_there(
    whole: Path, world: Path, router: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / MANIFEST).write_text(json.dumps(moved(whole / MANIFEST, tmp_path)))
    assert main([*command(world, router, tmp_path), "--budget", "256"]) == 1
    assert "was begun with another config" in capsys.readouterr().err


def test_a_video_that_cannot_be_read_is_a_failure_of_its_questions_alone(
    whole: Path, world: Path, router: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "world"
    shutil.copytree(world, damaged)
    first = read_run(whole).items["miniature"][0].video.name
    (damaged / "videos" / first).write_bytes(b"no video")
    asked = [*command(damaged, router, tmp_path / "run"), "--limit", "16"]
    assert main(asked) == 0
    run = read_run(tmp_path / "run")
    assert {failure.video for failure in run.failures} == {first}
    assert len(run.failures) == 4 * sum(item.video.name == first for item in run.items["miniature"])
    assert {prediction.video for prediction in run.predictions}.isdisjoint({first})

    shutil.copy(world / "videos" / first, damaged / "videos" / first)
    assert main([*asked, "--retry-failed", "true"]) == 0
    again = read_run(tmp_path / "run")
    assert not again.failures
    assert {prediction.video for prediction in again.predictions} == {
        item.video.name for item in again.items["miniature"]
    }


def test_one_run_may_hold_several_budgets_and_frame_counts(world: Path, router: Path, tmp_path: Path) -> None:
    scales = '{"global_scale": 2, "relevant_scale": 1, "irrelevant_scale": 4}'
    points = f'[{{"budget": 329}}, {{"budget": 256, "frames": 32, "scales": {scales}}}]'
    assert main([*command(world, router, tmp_path / "run"), "--points", points]) == 0
    run = read_run(tmp_path / "run")
    assert {(p.sampled, p.cap) for p in run.predictions} == {(64, 329), (32, 256)}
    assert len(run.predictions) == 2 * 4 * 8
    assert {one.sampled for one in run.videos} == {64, 32}
    write_report([run.path], ReportConfig(out=tmp_path / "report", questions=2))
    assert "miniature, 32 frames sampled, at most 256 tokens" in (tmp_path / "report" / "tables.md").read_text()


def ranks(count: int, arguments: list[str]) -> list[str]:
    """A command line of one process, or of torchrun's."""
    torchrun = ["-m", "torch.distributed.run", "--nproc_per_node", str(count), "--master_port", str(free_port())]
    return [sys.executable, *(torchrun if count > 1 else []), "-m", "eval", *arguments]


def in_a_process(asked: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        asked, cwd=Path(__file__).parents[2], start_new_session=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )


@dataclass(frozen=True)
class Undisturbed:
    """A run of one process over both videos, and what it was asked beside the command."""

    folder: Path
    more: tuple[str, ...]


@pytest.fixture(scope="module", params=[1, 3])
def both_videos(
    request: pytest.FixtureRequest, world: Path, router: Path, tmp_path_factory: pytest.TempPathFactory
) -> Undisturbed:
    """Answers one at a time, and three: eight questions a video then make batches of 3, 3 and 2."""
    out = tmp_path_factory.mktemp("both") / "run"
    more = ("--limit", "16", "--answers_at_once", str(request.param), "--scoring", "generate")
    assert in_a_process(ranks(1, [*command(world, router, out), *more])).wait() == 0
    return Undisturbed(out, more)


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(1, 1), (2, 1), (1, 2)])
def test_a_killed_run_ends_as_an_unbroken_one_with_as_many_ranks_or_others(
    both_videos: Undisturbed, world: Path, router: Path, tmp_path: Path, before: int, after: int
) -> None:
    arguments = [*command(world, router, tmp_path / "run"), *both_videos.more]
    running = in_a_process(ranks(before, arguments))
    journals = [tmp_path / "run" / f"answered-{rank}.jsonl" for rank in range(before)]
    while running.poll() is None and not all(j.exists() and j.read_bytes().count(b"\n") >= 5 for j in journals):
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGKILL)
    for rank in subprocess.run(["pgrep", "-f", str(tmp_path / "run")], capture_output=True, text=True).stdout.split():
        os.kill(int(rank), signal.SIGKILL)  # torchrun's workers lead sessions of their own
    running.wait()
    assert not (tmp_path / "run" / PREDICTIONS).exists()
    assert in_a_process(ranks(after, arguments)).wait() == 0
    assert answers(tmp_path / "run") == answers(both_videos.folder)
    assert not read_rows(tmp_path / "run" / FAILURES)


@pytest.mark.slow
def test_two_ranks_give_what_one_process_gives(
    both_videos: Undisturbed, world: Path, router: Path, tmp_path: Path
) -> None:
    asked = ranks(2, [*command(world, router, tmp_path / "run"), *both_videos.more])
    assert in_a_process(asked).wait() == 0
    assert answers(tmp_path / "run") == answers(both_videos.folder)
    assert read_rows(tmp_path / "run" / VIDEOS) == read_rows(both_videos.folder / VIDEOS)
    assert not list((tmp_path / "run").glob("answered-*"))
