"""A second run into a folder: the same inputs give the same bytes, changed ones are refused, repaired ones are taken."""

import json
import shutil
from pathlib import Path

import pytest

from videorouter.data_builders.__main__ import main
from videorouter.shards.reader import ShardDataset

LINES = "{0} 2.0 9.0##a star appears.\n{1} 3.0 8.0##a circle appears.\n"


@pytest.fixture
def spans(world: Path, tmp_path: Path) -> list[str]:
    """The command of a small build from spans over two videos, in `tmp_path/out`."""
    videos = tmp_path / "videos"
    videos.mkdir()
    names = [path.name for path in sorted((world / "videos").iterdir())[:2]]
    for name in names:
        shutil.copy(world / "videos" / name, videos)
    (tmp_path / "sta.txt").write_text(LINES.format(*names))
    arguments = ["flr", "spans", "--source", "charades_sta", "--questions", str(tmp_path / "sta.txt")]
    return [*arguments, "--videos", str(videos), "--frames", "16", "--frame_size", "56", "--videos_per_shard", "1"]


def shards(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.glob("train-*"))}


def test_two_builds_of_the_same_inputs_give_the_same_bytes(spans: list[str], tmp_path: Path) -> None:
    assert main([*spans, "--out", str(tmp_path / "a")]) == 0
    assert main([*spans, "--out", str(tmp_path / "b")]) == 0
    assert len(shards(tmp_path / "a")) == 4
    assert shards(tmp_path / "a") == shards(tmp_path / "b")


def test_a_teacher_build_repeated_elsewhere_gives_the_same_bytes(
    world: Path, flr: Path, teacher: str, tmp_path: Path
) -> None:
    questions = shutil.copy(world / "questions.jsonl", tmp_path / "moved.jsonl")
    arguments = ["flr", "annotate", "--config", "miniature/flr_annotate", "--questions", str(questions)]
    arguments += ["--videos", str(world), "--teacher.base_url", teacher, "--videos_per_shard", "2"]
    assert main([*arguments, "--teacher.concurrency", "2", "--out", str(tmp_path / "again")]) == 0
    assert shards(tmp_path / "again") == shards(flr)


def test_a_changed_question_file_is_refused(
    spans: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main([*spans, "--out", str(tmp_path / "out")]) == 0
    with (tmp_path / "sta.txt").open("a") as lines:
        lines.write("more.mp4 0 1##another.\n")
    assert main([*spans, "--out", str(tmp_path / "out")]) == 1
    assert "questions: " in capfd.readouterr().err


def test_a_video_that_was_missing_leaves_quarantine_once_it_is_there(spans: list[str], tmp_path: Path) -> None:
    video = sorted((tmp_path / "videos").iterdir())[1]
    video.rename(tmp_path / "elsewhere.mp4")
    assert main([*spans, "--out", str(tmp_path / "out")]) == 3
    assert json.loads((tmp_path / "out" / "quarantine.jsonl").read_text())["verdict"] == "missing"
    first = shards(tmp_path / "out")
    (tmp_path / "elsewhere.mp4").rename(video)
    assert main([*spans, "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "quarantine.jsonl").read_text() == ""
    assert len(ShardDataset(tmp_path / "out")) == 2
    assert shards(tmp_path / "out").items() > first.items()


def test_relevance_of_other_frames_is_refused(
    world: Path, flr: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "qtr",
        "--config",
        "miniature/qtr",
        "--questions",
        str(world / "questions.jsonl"),
        "--videos",
        str(world),
    ]
    assert main([*arguments, "--relevance", str(flr), "--frames", "32", "--out", str(tmp_path / "out")]) == 1
    assert "(64, 112, 'segment_midpoint')" in capfd.readouterr().err


def test_an_option_that_does_not_exist_is_a_usage_error() -> None:
    with pytest.raises(SystemExit) as ended:
        main(["flr", "spans", "--nonsense", "1"])
    assert ended.value.code == 2
