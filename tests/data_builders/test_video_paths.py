"""Names of videos that no file has, that lead elsewhere or that no text can hold: their row's verdict, never a build's end."""

import json
import os
from pathlib import Path

import pytest

from tests.video.counting import write_counting_video
from videorouter.data_builders.__main__ import main
from videorouter.data_builders.building.plan import list_videos, sample_key
from videorouter.data_builders.flr.splice import clips_to_join
from videorouter.data_builders.video_paths import VideoPaths
from videorouter.data_builders.videos import FrameConfig, VideoFolder
from videorouter.shards.reader import ShardDataset
from videorouter.shards.schema import KEY_PATTERN
from videorouter.video.decode import sample_frames
from videorouter.video.errors import MissingVideo, OutsideVideo

OUTSIDE = ["../secret.mp4", "a/../../secret.mp4", "{folder}/secret.mp4", "link.mp4", "linked/secret.mp4", "."]
NOWHERE = {
    "v" * 5000 + ".mp4": "File name too long",
    "x" * 254: "File name too long",
    "deep/" * 1500: "File name too long",
    "nul\0.mp4": "zero byte",
    "http://host/a.mp4": "no such file",
    "concat:a.mp4|b.mp4": "no such file",
    "a.mp4/b.mp4": "no such file",
    "caf\N{REPLACEMENT CHARACTER}.mp4": "not UTF-8, rename it",
    "loop.mp4": "no such file",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of videos beside a file that is none of them, with links to it."""
    folder = tmp_path / "videos"
    (folder / "a").mkdir(parents=True)
    for path in (
        tmp_path / "secret.mp4",
        tmp_path / "videos.mp4",
        folder / "a.mp4",
        folder / "UPPER.MP4",
        folder / "a:b|c.ts",
    ):
        path.write_bytes(b"x")
    (folder / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    (folder / "linked").symlink_to(tmp_path)
    (folder / "within.mp4").symlink_to("a.mp4")
    (folder / "loop.mp4").symlink_to("loop.mp4")
    return folder


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_name_leads_out_of_the_folder_only_where_that_is_allowed(name: str, folder: Path) -> None:
    name = name.format(folder=folder.parent)
    with pytest.raises(OutsideVideo, match="allow_outside"):
        VideoPaths(folder).find(name)
    found = VideoPaths(folder, allow_outside=True).find(name)
    assert found.resolve() in (folder.parent / "secret.mp4", folder.parent / "videos.mp4")


@pytest.mark.parametrize("name", NOWHERE)
@pytest.mark.parametrize("allowed", [False, True])
def test_a_name_that_no_file_can_have_is_a_missing_video(name: str, allowed: bool, folder: Path) -> None:
    with pytest.raises(MissingVideo, match=NOWHERE[name]) as raised:
        VideoPaths(folder, allow_outside=allowed).find(name)
    assert raised.value.verdict == "missing"
    with pytest.raises(MissingVideo):
        sample_frames(folder / name, 2)


def test_files_are_found_with_any_ending_and_under_odd_names(folder: Path) -> None:
    paths = VideoPaths(folder)
    found = {name: paths.find(name).name for name in ("a", "UPPER", "a:b|c.ts", "a:b|c", "within.mp4", "./a.mp4")}
    assert [*found.values()] == ["a.mp4", "UPPER.MP4", "a:b|c.ts", "a:b|c.ts", "within.mp4", "a.mp4"]
    linked = folder.parent / "also"
    linked.symlink_to(folder)  # the folder itself may be a link
    assert VideoPaths(linked).find("a") == linked / "a.mp4"


def test_a_map_leads_no_further_than_a_name(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "map.json").write_text(json.dumps({"x": str(folder.parent / "secret.mp4"), "y": "a.mp4"}))
    paths = VideoPaths(folder, tmp_path / "map.json")
    assert paths.find("y") == folder / "a.mp4"
    with pytest.raises(OutsideVideo):
        paths.find("x")
    (tmp_path / "map.json").write_text(json.dumps({"x": 5}))
    with pytest.raises(ValueError, match=r"map\.json: 'x' is mapped to 5"):
        VideoPaths(folder, tmp_path / "map.json")


def test_files_whose_names_are_no_utf_8_are_named_and_the_others_listed(folder: Path, tmp_path: Path) -> None:
    (folder / os.fsdecode(b"caf\xe9.mp4")).write_bytes(b"x")
    (folder / "a" / "deep.MKV").write_bytes(b"x")
    (folder / "folder.mp4").mkdir()
    splits, rejects = list_videos(None, folder)
    assert [*splits] == ["UPPER.MP4", "a/deep.MKV", "a.mp4", "a:b|c.ts", "link.mp4", "loop.mp4", "within.mp4"]
    assert [(reject.item, reject.verdict) for reject in rejects] == [("caf\N{REPLACEMENT CHARACTER}.mp4", "malformed")]
    videos = VideoFolder(FrameConfig(folder))
    clips = clips_to_join(videos, [])
    videos.close()
    assert "caf\N{REPLACEMENT CHARACTER}.mp4" in clips
    json.dumps(clips).encode()
    (tmp_path / "list.txt").write_bytes(b'caf\xe9.mp4\na.mp4\n{"video": "\\ud800"}\n')
    splits, rejects = list_videos(tmp_path / "list.txt", folder)
    assert [*splits] == ["a.mp4"]
    assert [(reject.item, reject.verdict) for reject in rejects] == [
        ("list.txt:1", "malformed"),
        ("list.txt:3", "malformed"),
    ]


@pytest.mark.parametrize(
    "name", [*(name for name in NOWHERE if "\0" not in name), "a.b.c.mp4", "\u65e5\u672c.mp4", "..", "-"]
)
def test_every_name_makes_a_key_that_a_shard_takes(name: str) -> None:
    import re

    assert re.fullmatch(KEY_PATTERN, sample_key(name))


def test_a_build_puts_such_rows_aside_and_labels_the_others(tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    write_counting_video(videos / "good.mp4", count=20)
    write_counting_video(videos / "odd:name.ts", count=20, codec="mpeg2video")
    write_counting_video(tmp_path / "outside.mp4", count=20)
    names = ["good", "odd:name.ts", "../outside.mp4", "v" * 300, "nul\0", "http://h/a.mp4"]
    row = {"question": "When?", "task_type": "t", "source": "s", "evidence": [[0, 1]]}
    lines = [json.dumps(row | {"id": str(number), "video": name}) for number, name in enumerate(names)]
    (tmp_path / "q.jsonl").write_text("\n".join([*lines, json.dumps(row | {"id": "x", "video": "\ud800"})]))
    arguments = [
        "flr",
        "spans",
        "--questions",
        str(tmp_path / "q.jsonl"),
        "--videos",
        str(videos),
        "--out",
        str(tmp_path / "out"),
    ]
    arguments += ["--frames", "4", "--frame_size", "28"]
    assert main(arguments) == 3
    quarantine = [json.loads(line) for line in (tmp_path / "out" / "quarantine.jsonl").read_text().splitlines()]
    assert {(row["item"], row["verdict"]) for row in quarantine} == {
        ("../outside.mp4", "outside"), ("v" * 300, "missing"), ("nul\0", "missing"), ("http://h/a.mp4", "missing"),
        ("q.jsonl:7", "malformed"),
    }  # fmt: skip
    assert sorted(sample.video.uri for sample in ShardDataset(tmp_path / "out")) == ["good", "odd:name.ts"]
    assert main([*arguments, "--allow-outside", "--retry-failed"]) == 3
    assert sorted(sample.video.uri for sample in ShardDataset(tmp_path / "out")) == [
        "../outside.mp4",
        "good",
        "odd:name.ts",
    ]
