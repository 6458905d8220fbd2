"""`eval prepare` says what is there, what is missing, and which files to fetch."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.eval import published
from videorouter.eval.__main__ import main
from videorouter.eval.benchmarks.prepare import inspect


def whole_egoschema(folder: Path) -> Path:
    rows = [
        {"q_uid": f"u-{number}", "question": "What?", **{f"option {place}": f"it {place}" for place in range(5)}}
        for number in range(500)
    ]
    published.write_json(folder / "questions.json", rows)
    published.write_json(folder / "subset_answers.json", {f"u-{number}": 0 for number in range(500)})
    for number in range(500):
        published.touch(folder / f"videos/u-{number}.mp4")
    return folder


def test_a_whole_folder_ends_with_0_and_a_missing_video_with_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = whole_egoschema(tmp_path)
    assert main(["prepare", "--benchmark", "egoschema", "--data", str(folder)]) == 0
    assert "Everything is there." in capsys.readouterr().out
    (folder / "videos/u-7.mp4").unlink()
    assert main(["prepare", "--benchmark", "egoschema", "--data", str(folder)]) == 3
    assert "videos_chunked_01.zip" in capsys.readouterr().out


def test_another_folder_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", "--benchmark", "video_mme", "--data", str(tmp_path)]) == 1
    assert "is not a Video-MME folder" in capsys.readouterr().err
    assert main(["prepare", "--benchmark", "miniature", "--data", str(tmp_path)]) == 1
    assert "miniature is made, not fetched" in capsys.readouterr().err


def test_json_holds_counts_by_group_wrong_rows_and_subtitles(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        published.video_mme_row(1, 1),
        published.video_mme_row(1, 2, answer="Z"),
        published.video_mme_row(2, 1, "long"),
    ]
    folder = published.video_mme(tmp_path, rows)
    assert main(["prepare", "--benchmark", "video_mme", "--data", str(folder), "--json"]) == 3
    said = json.loads(capsys.readouterr().out)
    counts = {
        group["value"]: (group["found"], group["published"])
        for group in said["groups"]
        if group["dimension"] == "duration"
    }
    assert counts == {"short": (1, 900), "medium": (0, 900), "long": (1, 900)}
    assert (said["questions"], said["published_questions"], said["subtitles"], said["complete"]) == (
        3,
        [2700],
        1,
        False,
    )
    assert [row["id"] for row in said["wrong"]] == ["001-2"]
    assert said["missing_videos"] == [str(folder / "data/yt-2.mp4")]


def test_archives_that_lie_there_are_looked_into(tmp_path: Path) -> None:
    folder = published.video_mme(tmp_path)
    with zipfile.ZipFile(folder / "videos_chunked_03.zip", "w") as archive:
        archive.writestr("data/yt-2.mp4", b"")
    (folder / "videos_chunked_04.zip").write_bytes(b"cut")
    steps = inspect("video_mme", folder).fetch
    assert f"unpack videos_chunked_03.zip in {folder}: it holds 1 of the missing videos" in steps
    assert any(step.startswith("fetch videos_chunked_04.zip") and "damaged" in step for step in steps)
    assert not any("videos_chunked_05.zip" in step for step in steps)


@pytest.mark.parametrize(
    ("benchmark", "written", "video", "step"),
    [
        ("mlvu", published.mlvu, "video/3_ego/ego_1.mp4", "1 videos are missing (1 in video/3_ego)"),
        ("longvideobench", published.longvideobench, "videos/v0.mp4", "fetch every videos.tar.part.*"),
        ("lvbench", published.lvbench, "all_videos/Cm73ma6Ibcs.mp4", "download the videos by key"),
    ],
)
def test_what_to_fetch_is_said(
    benchmark: str, written: Callable[[Path], Path], video: str, step: str, tmp_path: Path
) -> None:
    folder = written(tmp_path)
    assert not any(step in said for said in inspect(benchmark, folder).fetch)
    (folder / video).unlink()
    assert any(step in said for said in inspect(benchmark, folder).fetch)


def test_subtitles_that_are_not_unpacked_are_said(tmp_path: Path) -> None:
    folder = published.longvideobench(tmp_path)
    assert not any("subtitles" in step for step in inspect("longvideobench", folder).fetch)
    (folder / "subtitles/v0_en.json").unlink()
    assert any(
        step.startswith("fetch and unpack") and "subtitles.tar" in step
        for step in inspect("longvideobench", folder).fetch
    )
    (folder / "subtitles.tar").touch()
    assert any(step.startswith("unpack subtitles.tar") for step in inspect("longvideobench", folder).fetch)
