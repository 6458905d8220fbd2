"""The same labels under every executor; workers that die, caps, ranges and new runs never lose or mix anything."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from videorouter.data_builders.__main__ import main
from videorouter.data_builders.building.config import RunConfig
from videorouter.data_builders.building.executors import run_local
from videorouter.data_builders.building.labeller import Labelled, Labeller
from videorouter.data_builders.building.ledger import Caps, Ledger
from videorouter.data_builders.building.plan import ShardJob, VideoJob
from videorouter.data_builders.building.shard_builder import BuildSpec, ShardOutcome
from videorouter.data_builders.rejects import Reject
from videorouter.data_builders.teacher.teacher import Teacher
from videorouter.data_builders.videos import FrameConfig, PreparedVideo, VideoFolder
from videorouter.shards.reader import ShardDataset
from videorouter.shards.verify import verify

PRICES = "miniature-teacher: {input: 1, output: 1}\n"


def annotate(world: Path, out: Path, teacher: str, *options: str) -> int:
    arguments = ["flr", "annotate", "--config", "miniature/flr_annotate", "--questions", str(world / "questions.jsonl")]
    arguments += ["--videos", str(world), "--teacher.base_url", teacher, "--videos-per-shard", "1", "--out", str(out)]
    return main([*arguments, *options])


def shards(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.glob("*.tar"))}


def requests(out: Path) -> int:
    return Ledger(out).totals().usage.requests


@pytest.fixture(scope="module")
def built(world: Path, teacher: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six shards, built in this process."""
    out = tmp_path_factory.mktemp("built") / "out"
    assert annotate(world, out, teacher) == 0
    return out


def test_two_worker_processes_give_the_same_bytes(built: Path, world: Path, teacher: str, tmp_path: Path) -> None:
    assert annotate(world, tmp_path / "out", teacher, "--workers", "2") == 0
    assert shards(tmp_path / "out") == shards(built)
    assert requests(tmp_path / "out") == requests(built)


def test_ranges_together_make_the_whole(built: Path, world: Path, teacher: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert annotate(world, out, teacher, "--shard-range", "0:2") == 0
    assert not (out / "manifest.json").exists()
    assert annotate(world, out, teacher, "--shard-range", "2:") == 0
    assert shards(out) == shards(built)
    assert (out / "manifest.json").read_bytes() == (built / "manifest.json").read_bytes()


@pytest.mark.parametrize("given", ["3", "a:b", "1-2"])
def test_a_malformed_range_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="FIRST:END"):
        RunConfig(shard_range=given)


def test_a_cap_stops_two_workers_cleanly_and_a_higher_one_goes_on(
    built: Path, world: Path, teacher: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    whole = Ledger(built).totals().usage
    most = (whole.tokens_in + whole.tokens_out) // 2
    options = ["--workers", "2", "--teacher.concurrency", "4"]
    assert annotate(world, out, teacher, *options, "--max-tokens", str(most)) == 5
    assert "raise the cap" in capfd.readouterr().err
    spent = Ledger(out).totals().usage
    largest = (whole.tokens_in + whole.tokens_out) / whole.requests * 1.5
    assert most <= spent.tokens_in + spent.tokens_out <= most + 4 * largest
    assert annotate(world, out, teacher, *options) == 0
    assert shards(out) == shards(built)
    assert requests(out) == requests(built)


def test_dollars_are_told_and_capped(
    world: Path, teacher: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "prices.yaml").write_text(PRICES)
    priced = ["--teacher.prices", str(tmp_path / "prices.yaml")]
    assert annotate(world, tmp_path / "out", teacher, "--max-usd", "1") == 1
    assert "needs the price" in capfd.readouterr().err
    assert annotate(world, tmp_path / "out", teacher, *priced, "--max-usd", "0.1") == 5
    assert annotate(world, tmp_path / "out", teacher, *priced, "--max-usd", "100") == 0
    usage = Ledger(tmp_path / "out").totals().usage
    assert f"${(usage.tokens_in + usage.tokens_out) / 1e6:.2f}" in capfd.readouterr().out


def test_an_estimate_is_paid_for_once(
    built: Path, world: Path, teacher: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert annotate(world, out, teacher, "--dry-run", "3") == 0
    table = capfd.readouterr().out
    row = next(line for line in table.splitlines() if "requests" in line)
    assert str(requests(out)) in row
    assert f"{requests(built)}" in row
    assert 0 < requests(out) < requests(built)
    assert not shards(out)
    assert annotate(world, out, teacher) == 0
    assert requests(out) == requests(built)


def test_another_configuration_begins_anew_when_asked_and_pays_only_for_what_differs(
    built: Path, world: Path, teacher: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert annotate(world, out, teacher) == 0
    paid = requests(out)
    assert annotate(world, out, teacher, "--threshold", "100") == 1
    assert "threshold: 50 -> 100" in capfd.readouterr().err
    assert annotate(world, out, teacher, "--threshold", "60", "--new-run") == 0
    assert requests(out) == paid
    assert shards(out / "earlier" / "0") == shards(built)
    assert not verify(out).problems
    assert not verify(out / "earlier" / "0").problems


def test_what_may_be_gone_is_tried_again_when_asked(world: Path, teacher: str, tmp_path: Path) -> None:
    own = tmp_path / "world"
    (own / "videos").mkdir(parents=True)
    for path in (world / "videos").iterdir():
        (own / "videos" / path.name).hardlink_to(path)
    (own / "questions.jsonl").write_bytes((world / "questions.jsonl").read_bytes())
    away = sorted((own / "videos").iterdir())[0]
    away.rename(tmp_path / "away")
    out = tmp_path / "out"
    together = ["--videos-per-shard", "3"]
    assert annotate(own, out, teacher, *together) == 3
    (tmp_path / "away").rename(away)
    assert annotate(own, out, teacher, *together) == 3
    assert annotate(own, out, teacher, *together, "--retry-failed") == 0
    assert len(ShardDataset(out)) == 6


def test_failures_up_to_a_share_are_tolerated(world: Path, teacher: str, tmp_path: Path) -> None:
    lines = (world / "questions.jsonl").read_text()
    (tmp_path / "q.jsonl").write_text(lines + "{broken\n")
    questions = ["--questions", str(tmp_path / "q.jsonl")]
    assert annotate(world, tmp_path / "out", teacher, *questions) == 3
    assert annotate(world, tmp_path / "out", teacher, *questions, "--tolerate", "0.05") == 0


def test_two_builds_of_one_folder_exclude_each_other(
    world: Path, tmp_path: Path, start_teacher: Callable[..., object], capfd: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable, "-m", "data_builders", "flr", "annotate", "--config", "miniature/flr_annotate"]
    command += ["--questions", str(world / "questions.jsonl"), "--videos", str(world), "--out", str(tmp_path / "out")]
    with start_teacher("--hang", "1.0", "--hang-seconds", "60") as url:  # type: ignore[attr-defined]
        first = subprocess.Popen([*command, "--teacher.base_url", url])
        try:
            _until(lambda: (tmp_path / "out" / "ledger.sqlite").exists())
            assert annotate(world, tmp_path / "out", url) == 1
            assert "another build works in" in capfd.readouterr().err
        finally:
            first.kill()
            first.wait()


def test_a_worker_that_is_killed_is_replaced_and_nothing_is_lost(
    built: Path, world: Path, tmp_path: Path, start_teacher: Callable[..., object]
) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "data_builders", "flr", "annotate", "--config", "miniature/flr_annotate"]
    command += ["--questions", str(world / "questions.jsonl"), "--videos", str(world), "--out", str(out)]
    with start_teacher("--hang", "0.3", "--hang-seconds", "0.5") as url:  # type: ignore[attr-defined]
        options = ["--workers", "2", "--videos_per_shard", "1", "--teacher.base_url", url]
        driver = subprocess.Popen([*command, *options])
        _until(lambda: len(list((out / "answers").glob("*.sqlite"))) > 1)  # the rehearsal, in the driver, is over
        workers = [pid for pid in _children(driver.pid) if b"spawn_main" in _command(pid)]
        os.kill(workers[0], signal.SIGKILL)
        assert driver.wait(timeout=120) == 0
    assert shards(out) == shards(built)


def test_a_shard_that_processes_die_of_is_put_aside_by_name(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path, None, Caps(), None)
    jobs = [ShardJob(tmp_path / f"train-{n:05d}.tar", (VideoJob(f"k{n}", f"{n}.mp4", ()),)) for n in range(3)]
    spec = BuildSpec(tmp_path, "f", FrameConfig(tmp_path), _Deadly(), ledger, None)
    finished: list[ShardOutcome] = []
    run_local(spec, jobs, RunConfig(workers=2), finished.append)
    assert len(finished) == 3
    rejects = [json.loads(job.rejects.read_text()) for job in jobs]
    assert {reject["verdict"] for reject in rejects} == {"died"}
    assert "exit code 7" in rejects[0]["reason"]


def test_a_shard_killed_between_its_rejects_and_its_tar_is_built_again(tmp_path: Path) -> None:
    job = ShardJob(tmp_path / "train-00000.tar", (VideoJob("k", "v.mp4", ()),))
    job.keep_rejects([Reject("q", "teacher", "invalid_reply", "no JSON")])
    assert not job.done
    job.mark_nothing()
    assert job.done


class _Deadly:
    """A recipe whose labeller ends its process."""

    kinds = ()

    def __call__(self, videos: VideoFolder) -> Callable[[Teacher], Labeller]:
        return lambda _: self

    def prepare(self, job: VideoJob) -> PreparedVideo:
        os._exit(7)

    async def label(self, video: PreparedVideo, job: VideoJob) -> Labelled:
        raise AssertionError("it died before")


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def _command(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def _until(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
