"""Shards are whole or absent, the same bytes for the same samples, and plain to every reader of webdataset."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.shards.samples import five, question, sample, write_dataset
from videorouter.shards import jpeg
from videorouter.shards.__main__ import main
from videorouter.shards.errors import BadName, DuplicateKey, FinishedShard, MissingShard, OtherVersion
from videorouter.shards.reader import ShardDataset
from videorouter.shards.sample import ShardSample
from videorouter.shards.schema import SCHEMA_VERSION, VideoQuestion, VideoRecord
from videorouter.shards.sidecar import read_manifest
from videorouter.shards.storage import Storage
from videorouter.shards.writer import shard_path, write_shard


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return five(tmp_path)


def test_the_same_samples_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    again = five(tmp_path / "again")
    for name in ("train-00000.tar", "train-00000.json", "manifest.json"):
        assert (again / name).read_bytes() == (folder / name).read_bytes()


def test_what_was_written_is_read(folder: Path) -> None:
    dataset = ShardDataset(folder, split="train")
    assert [dataset[i].key for i in range(len(dataset))] == ["a", "b", "c", "d", "e"]
    read, written = dataset[1], sample("b", seed=1)
    assert read == written
    assert dataset.labels(1) == written.questions
    assert read.frames().shape == (4, 16, 24, 3)


def test_plain_webdataset_reads_every_sample(folder: Path) -> None:
    import webdataset

    urls = [str(path) for path in sorted(folder.glob("*.tar"))]
    read = list(webdataset.WebDataset(urls, shardshuffle=False))
    assert [one["__key__"] for one in read] == ["a", "b", "c", "d", "e"]
    assert {frozenset(one) - {"__key__", "__url__", "__local_path__"} for one in read} == {
        frozenset({"frames.mjpeg", "video.json", "labels.json"})
    }
    assert json.loads(read[0]["labels.json"])["questions"][0]["question"]["answer"] == "y"


@pytest.mark.parametrize("odd", [1, 7])
def test_datasets_reads_every_frame_wherever_the_odd_video_stands(tmp_path: Path, odd: int) -> None:
    """`datasets` takes the first five samples' member names for those of all."""
    import datasets

    videos = [sample(f"v{number}", frames=2 if number == odd else 4, seed=number) for number in range(9)]
    write_dataset(tmp_path / "data", {"train-0": videos})
    read = datasets.load_dataset(
        "webdataset",
        data_files={"train": str(tmp_path / "data" / "train-00000.tar")},
        split="train",
        streaming=True,
        cache_dir=str(tmp_path / "cache"),
    )
    rows = list(read)
    assert [row["__key__"] for row in rows] == [video.key for video in videos]
    for row, video in zip(rows, videos, strict=True):
        assert row["frames.mjpeg"] == b"".join(video.jpegs)
        assert row["video.json"]["frame_bytes"] == video.video.frame_bytes


def test_a_finished_shard_is_never_overwritten(folder: Path) -> None:
    with pytest.raises(FinishedShard, match="delete it"):
        write_shard(shard_path(folder, "train", 0), [sample("z")], "f")


def test_a_writer_that_fails_midway_leaves_nothing_a_reader_takes_for_data(tmp_path: Path) -> None:
    def samples() -> Iterator[ShardSample]:
        yield sample("a")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        write_shard(shard_path(tmp_path, "train", 0), samples(), "f")
    assert not list(tmp_path.iterdir())
    with pytest.raises(MissingShard):
        ShardDataset(tmp_path)


@pytest.mark.parametrize("key", ["", "a.b", "../a", "a/b", "/a", "a\n", "ä", "x" * 81, "c:d"])
def test_a_key_that_is_no_plain_name_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(BadName, match="plain name"):
        write_shard(shard_path(tmp_path, "train", 0), [sample("z"), _named(key)], "f")
    assert not list(tmp_path.iterdir())


def test_a_repeated_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DuplicateKey, match="twice"):
        write_shard(shard_path(tmp_path, "train", 0), [sample("a"), sample("a")], "f")
    assert not list(tmp_path.iterdir())


def test_stats_count_what_is_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", str(folder), "--as_json", "true"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["split"], row["shards"], row["videos"], row["questions"], row["frames"]) == ("train", 2, 5, 5, 18)
    assert row["licences"] == {"unstated": 5}
    assert row["seconds"] == [4.0, 4.0, 4.0]
    assert row["bytes"] == sum(path.stat().st_size for path in folder.glob("*.tar"))


def test_questions_hold_an_answer_that_is_an_option_and_forward_spans() -> None:
    with pytest.raises(ValueError, match="not among the options"):
        VideoQuestion(id="q", video="v", question="?", options=["x"], answer="y", task_type="t", source="s")
    with pytest.raises(ValueError, match="ends before it starts"):
        VideoQuestion(id="q", video="v", question="?", evidence=[(4, 2)], task_type="t", source="s")


def test_a_record_has_one_entry_a_frame_and_sizes_a_frame_can_have() -> None:
    sound = sample("a").video.model_dump()
    for wrong in ({"seconds": [0.0]}, {"height": 0}, {"width": 10**9}, {"fps": float("nan")}, {"frame_bytes": [0] * 4}):
        with pytest.raises(ValueError, match=r"[14] validation error"):
            VideoRecord.model_validate(sound | wrong)


def test_jpeg_keeps_small_colours() -> None:
    picture = np.zeros((16, 16, 3), dtype=np.uint8)
    picture[4:8, 4:8] = (255, 0, 0)
    assert np.abs(jpeg.decode(jpeg.encode(picture), 16, 16).astype(int) - picture).max() < 40


def test_a_split_is_not_taken_for_another_that_begins_like_it(tmp_path: Path) -> None:
    write_dataset(tmp_path, {"val-0": [sample("a")], "val-unseen-0": [sample("b")]})
    assert [one.key for one in (ShardDataset(tmp_path, "val")[0], ShardDataset(tmp_path, "val-unseen")[0])] == [
        "a",
        "b",
    ]
    assert (len(ShardDataset(tmp_path, "val")), len(ShardDataset(tmp_path))) == (1, 2)


@pytest.mark.parametrize("split", ["../elsewhere", "a/b", "", ".hidden"])
def test_a_split_that_is_no_file_name_is_refused(split: str) -> None:
    with pytest.raises(ValueError, match="split"):
        VideoQuestion.model_validate(question().model_dump() | {"split": split})


def test_shards_of_schema_version_1_are_read(folder: Path) -> None:
    written = list(ShardDataset(folder))
    for name in ("train-00000", "train-00001"):
        path = folder / f"{name}.json"
        now = json.loads(path.read_text())
        then = {
            "schema_version": 1,
            "fingerprint": now["fingerprint"],
            "sha256": now["sha256"],
            "count": len(now["samples"]),
            "questions": len(now["samples"]),
            "keys": [entry["key"] for entry in now["samples"]],
            "members": {entry["key"]: entry["members"] for entry in now["samples"]},
        }
        path.write_text(json.dumps(then))
    manifest = json.loads((folder / "manifest.json").read_text())
    counts = manifest.pop("shards")
    manifest |= {"schema_version": 1, "splits": {"train": {"shards": 2, "videos": len(written), "questions": 1}}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert list(ShardDataset(folder)) == written
    read = read_manifest(Storage(folder))
    assert read is not None
    assert [shard.model_dump() for shard in read.shards] == counts
    assert main(["verify", str(folder)]) == 0


def test_a_version_this_release_does_not_read_is_named(folder: Path) -> None:
    path = folder / "train-00001.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": SCHEMA_VERSION + 1}))
    with pytest.raises(OtherVersion, match=f"schema version {SCHEMA_VERSION + 1}.*release that wrote it"):
        ShardDataset(folder)


def test_the_schema_alone_does_not_load_torch() -> None:
    code = (
        "import sys, shards, shards.__main__, shards.verify, shards.stats, shards.page, data_builders.__main__\n"
        "assert 'torch' not in sys.modules, 'torch is loaded'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def _named(key: str) -> ShardSample:
    sound = sample("sound")
    return ShardSample(key, sound.video, sound.questions, sound.jpegs)
