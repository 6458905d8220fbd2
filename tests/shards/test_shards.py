"""Shards are whole or absent, the same bytes for the same samples, plain webdataset, and damage is named."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from shards import FrameRelevance, LabelledQuestion, ShardDataset, ShardSample, VideoQuestion, VideoRecord, jpeg
from shards.__main__ import main
from shards.errors import DamagedShard, FinishedShard, MissingShard
from shards.schema import SCHEMA_VERSION, Manifest
from shards.writer import shard_path, write_manifest, write_shard


def question(name: str = "q0", video: str = "a.mp4") -> VideoQuestion:
    return VideoQuestion(
        id=name, video=video, question="What?", options=["x", "y"], answer="y", task_type="what", source="test"
    )


def sample(key: str, frames: int = 4, seed: int = 0) -> ShardSample:
    pictures = np.random.default_rng(seed).integers(0, 256, (frames, 16, 24, 3), dtype=np.uint8)
    jpegs = [jpeg.encode(picture) for picture in pictures]
    record = VideoRecord(
        uri=f"{key}.mp4", duration=4.0, fps=10.0, total=40, decoder="pyav", sampler="segment_midpoint",
        indices=list(range(frames)), seconds=[i / 10 for i in range(frames)], height=16, width=24,
        frame_bytes=[len(data) for data in jpegs],
    )  # fmt: skip
    labelled = LabelledQuestion(
        question=question(f"{key}-q", record.uri), relevance=FrameRelevance(relevant=[True] * frames), origin="spans"
    )
    return ShardSample(key, record, [labelled], jpegs)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two shards of five samples, one with fewer frames than the others."""
    write_shard(shard_path(tmp_path, "train", 0), [sample("a"), sample("b", seed=1), sample("c", 2)], "f")
    write_shard(shard_path(tmp_path, "train", 1), [sample("d"), sample("e")], "f")
    manifest = Manifest(schema_version=SCHEMA_VERSION, fingerprint="f", config={}, splits={}, licences=[])
    write_manifest(tmp_path, manifest)
    return tmp_path


def test_the_same_samples_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    write_shard(shard_path(again, "train", 0), [sample("a"), sample("b", seed=1), sample("c", 2)], "f")
    for name in ("train-00000.tar", "train-00000.json"):
        assert (again / name).read_bytes() == (folder / name).read_bytes()


def test_what_was_written_is_read(folder: Path) -> None:
    dataset = ShardDataset(folder, split="train")
    assert [dataset[i].key for i in range(len(dataset))] == ["a", "b", "c", "d", "e"]
    read, written = dataset[1], sample("b", seed=1)
    assert read == written
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


def test_a_finished_shard_is_never_overwritten(folder: Path) -> None:
    with pytest.raises(FinishedShard, match="delete it"):
        write_shard(shard_path(folder, "train", 0), [sample("z")], "f")


def test_a_writer_that_fails_midway_leaves_nothing_a_reader_takes_for_data(tmp_path: Path) -> None:
    def samples() -> Iterator[ShardSample]:
        yield sample("a")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        write_shard(shard_path(tmp_path, "train", 0), samples(), "f")
    assert not list(tmp_path.glob("*.tar"))
    with pytest.raises(MissingShard):
        ShardDataset(tmp_path)


@pytest.mark.parametrize("key", ["", "a.b", "../a", "a/b"])
def test_a_key_that_is_no_plain_name_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="plain name"):
        write_shard(shard_path(tmp_path, "train", 0), [sample(key)], "f")


def test_a_repeated_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="twice"):
        write_shard(shard_path(tmp_path, "train", 0), [sample("a"), sample("a")], "f")


def test_verify_passes_on_sound_shards(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(folder)]) == 0
    assert "sound" in capsys.readouterr().out


def test_verify_names_the_shard_with_a_flipped_byte(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shard = folder / "train-00001.tar"
    data = bytearray(shard.read_bytes())
    data[700] ^= 0xFF
    shard.write_bytes(data)
    assert main(["verify", str(folder)]) == 1
    assert "train-00001.tar has sha256" in capsys.readouterr().err


def test_a_damaged_sample_names_shard_key_and_remedy(folder: Path) -> None:
    shard = folder / "train-00001.tar"
    shard.write_bytes(shard.read_bytes()[:3000])
    with pytest.raises(DamagedShard, match=r"(?s)sample e of .*train-00001.tar.*run the builder again"):
        ShardDataset(folder)[4]


def test_a_shard_without_its_sidecar_is_named(folder: Path) -> None:
    (folder / "train-00001.tar").unlink()
    with pytest.raises(MissingShard, match="belong together"):
        ShardDataset(folder)


def test_stats_count_what_is_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", str(folder), "--as_json", "true"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["split"], row["shards"], row["videos"], row["questions"]) == ("train", 2, 5, 5)


def test_questions_hold_an_answer_that_is_an_option_and_forward_spans() -> None:
    with pytest.raises(ValueError, match="not among the options"):
        VideoQuestion(id="q", video="v", question="?", options=["x"], answer="y", task_type="t", source="s")
    with pytest.raises(ValueError, match="ends before it starts"):
        VideoQuestion(id="q", video="v", question="?", evidence=[(4, 2)], task_type="t", source="s")


def test_jpeg_keeps_small_colours() -> None:
    picture = np.zeros((16, 16, 3), dtype=np.uint8)
    picture[4:8, 4:8] = (255, 0, 0)
    assert np.abs(jpeg.decode(jpeg.encode(picture)).astype(int) - picture).max() < 40


def test_a_split_is_not_taken_for_another_that_begins_like_it(tmp_path: Path) -> None:
    write_shard(shard_path(tmp_path, "val", 0), [sample("a")], "f")
    write_shard(shard_path(tmp_path, "val-unseen", 0), [sample("b")], "f")
    assert [one.key for one in (ShardDataset(tmp_path, "val")[0], ShardDataset(tmp_path, "val-unseen")[0])] == [
        "a",
        "b",
    ]
    assert (len(ShardDataset(tmp_path, "val")), len(ShardDataset(tmp_path))) == (1, 2)


@pytest.mark.parametrize("split", ["../elsewhere", "a/b", "", ".hidden"])
def test_a_split_that_is_no_file_name_is_refused(split: str) -> None:
    with pytest.raises(ValueError, match="split"):
        VideoQuestion.model_validate(question().model_dump() | {"split": split})


def test_a_failed_write_leaves_no_file_at_all(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="twice"):
        write_shard(shard_path(tmp_path, "train", 0), [sample("a"), sample("a")], "f")
    assert not list(tmp_path.iterdir())


def test_the_schema_alone_does_not_load_torch() -> None:
    code = "import sys, shards, data_builders.__main__; assert 'torch' not in sys.modules, 'torch is loaded'"
    subprocess.run([sys.executable, "-c", code], check=True)
