"""A dry run labels the videos it was told to, and says what is left to pay: the build then pays that, and no answer twice."""

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from videorouter.data_builders.__main__ import main
from videorouter.data_builders.building.config import RunConfig
from videorouter.data_builders.building.ledger import Ledger

NUMBER = re.compile(r"([\d,]+)(?: \(([\d,]+)-([\d,?]+)\))?")


def row(printed: str, name: str) -> list[tuple[int, int, float]]:
    """The cells of a row of the table, as (value, low, high)."""
    line = next(line for line in printed.splitlines() if re.match(rf"\W*{name} ", line))
    cells = [NUMBER.search(cell) for cell in line.split("│")[2:-1]]
    return [cell_of(cell) for cell in cells if cell]


def cell_of(found: re.Match[str]) -> tuple[int, int, float]:
    value, low, high = (part and part.replace(",", "") for part in found.groups())
    if low is None:
        return int(value), int(value), int(value)
    return int(value), int(low), float("inf") if high == "?" else int(high)


def subset(world: Path, out: Path, seed: int) -> Path:
    """Questions of the world, of some videos one and of others eight."""
    chance = random.Random(seed)
    most: dict[str, int] = {}
    kept = []
    for line in (world / "questions.jsonl").read_text().splitlines():
        video = json.loads(line)["video"]
        most.setdefault(video, chance.randint(1, 8))
        most[video] -= 1
        if most[video] >= 0:
            kept.append(line)
    path = out / f"questions-{seed}.jsonl"
    path.write_text("\n".join(kept) + "\n")
    return path


def command(builder: str, world: Path, questions: Path, out: Path, url: str) -> list[str]:
    common = ["--videos", str(world), "--teacher.base_url", url, "--out", str(out), "--videos_per_shard", "2"]
    common += ["--frames", "16", "--window", "8"]
    if builder == "generate":
        return ["flr", "generate", "--config", "miniature/flr_generate", *common]
    asked = ["--questions", str(questions), *common]
    if builder == "qtr":
        return ["qtr", "--config", "miniature/qtr", "--per_category", "6", *asked]
    return ["flr", "annotate", "--config", "miniature/flr_annotate", "--boundary", "4", "--necessity", *asked]


def paid(out: Path) -> int:
    return Ledger(out).totals().usage.requests


@pytest.mark.parametrize("builder", ["annotate", "generate", "qtr"])
def test_a_dry_run_labels_some_and_the_build_pays_what_it_said(
    builder: str, world: Path, teacher: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    build = command(builder, world, subset(world, tmp_path, 0), tmp_path / "out", teacher)
    assert main([*build, "--dry-run", "3", "--tokens_per_second", "5000"]) == 0
    printed = capfd.readouterr().out
    sampled = paid(tmp_path / "out")
    sample, whole, left = row(printed, "requests")
    assert sample == (sampled, sampled, sampled)
    assert "GPU-hours at 5,000 tokens a second" in printed
    assert f"{sampled} requests were sent now; 0 answers were kept from before" in printed
    assert re.search(r"at most \d+ pictures and [\d.]+ MB of body; [\d.]+ MB on average, [\d.]+ GB in all", printed)

    assert main([*build, "--dry-run", "3"]) == 0
    again = capfd.readouterr().out
    assert paid(tmp_path / "out") == sampled, "a dry run that is repeated pays nothing"
    assert row(again, "requests")[1:] == [whole, left]
    assert f"0 requests were sent now; {sampled} answers were kept from before" in again

    assert main(build) in (0, 3)
    rest = paid(tmp_path / "out") - sampled
    assert rest > 0
    assert left[1] <= rest <= left[2]


def test_a_sample_of_all_leaves_nothing_to_pay(
    world: Path, teacher: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for builder in ("annotate", "qtr"):
        out = tmp_path / builder
        build = command(builder, world, subset(world, tmp_path, 1), out, teacher)
        assert main([*build, "--dry-run", "100"]) == 0
        sampled = paid(out)
        assert row(capfd.readouterr().out, "requests") == [(sampled,) * 3, (sampled,) * 3, (0, 0, 0)]
        assert main(build) in (0, 3)
        assert paid(out) == sampled
        capfd.readouterr()


def test_a_dry_run_that_is_refused_says_why_and_exits_as_a_build_does(
    world: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    nobody = "http://127.0.0.1:9/v1"
    for builder in ("annotate", "generate", "qtr"):
        build = command(builder, world, subset(world, tmp_path, 2), tmp_path / builder, nobody)
        build += ["--teacher.wait", "0"]
        codes = [main([*build, "--dry-run", "2"]), main(build)]
        assert codes == [4, 4]
        assert capfd.readouterr().err.count(nobody) >= 2


@pytest.mark.parametrize("wrong", [{"dry_run": -1}, {"tokens_per_second": 0.0}])
def test_numbers_that_mean_nothing_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="give "):
        RunConfig(**wrong)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("builder", ["annotate", "generate", "qtr"])
def test_the_interval_holds_what_is_paid_in_seventeen_of_twenty_builds(
    builder: str,
    large_world: Path,
    tmp_path: Path,
    start_teacher: Callable[..., object],
    capfd: pytest.CaptureFixture[str],
) -> None:
    held = 0
    with start_teacher("--malformed", "0.05", "--truncated", "0.05") as url:  # type: ignore[attr-defined]
        for seed in range(20):
            out = tmp_path / f"{builder}-{seed}"
            build = command(builder, large_world, subset(large_world, tmp_path, seed), out, url)
            if builder == "generate":
                names = sorted(f"videos/{path.name}" for path in (large_world / "videos").iterdir())
                listed = tmp_path / f"videos-{seed}.txt"
                listed.write_text("\n".join(random.Random(seed).sample(names, 16)) + "\n")
                build += ["--video_list", str(listed)]
            assert main([*build, "--dry-run", "6"]) == 0
            sampled, (_, low, high) = paid(out), row(capfd.readouterr().out, "requests")[2]
            assert main(build) in (0, 3)
            rest = paid(out) - sampled
            print(f"seed {seed}: {rest} in {low}-{high}")
            held += low <= rest <= high
    assert held >= 17


@pytest.fixture(scope="module")
def large_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 videos, most of them to train on."""
    from videorouter.miniature.world.build import build_world

    folder = tmp_path_factory.mktemp("large") / "world"
    build_world(folder, videos=24, seconds=20, seed=11, questions_per_video=8, splits=(75, 13, 12), workers=2)
    return folder
