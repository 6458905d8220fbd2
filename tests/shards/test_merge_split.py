"""Merged and split data sets hold every sample once, and no video is in two splits."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.shards.samples import five, sample, write_dataset
from videorouter.shards.__main__ import main
from videorouter.shards.errors import DuplicateKey, FinishedShard, MissingShard
from videorouter.shards.merge_split import merge, split
from videorouter.shards.reader import ShardDataset
from videorouter.shards.verify import verify


def keys(folder: Path, name: str | None = None) -> list[str]:
    return [place.entry.key for place in ShardDataset(folder, name).catalogue.places]


def test_merged_folders_hold_all_samples_by_split(tmp_path: Path) -> None:
    first = five(tmp_path / "first")
    second = write_dataset(tmp_path / "second", {"val-0": [sample("x")], "train-0": [sample("y")]})
    assert main(["merge", f"[{first}, {second}]", str(tmp_path / "out"), "--videos_per_shard", "4"]) == 0
    out = tmp_path / "out"
    assert (keys(out, "train"), keys(out, "val")) == (["a", "b", "c", "d", "e", "y"], ["x"])
    assert not verify(out).problems
    assert list(ShardDataset(out, "train"))[:5] == list(ShardDataset(first))


def test_the_same_key_in_two_folders_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    folders = [five(tmp_path / "first"), five(tmp_path / "second")]
    with pytest.raises(DuplicateKey, match="leave one"):
        merge(folders, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_video_that_would_be_in_two_splits_is_refused(tmp_path: Path) -> None:
    again = replace(sample("other"), video=sample("a").video)
    folders = [five(tmp_path / "first"), write_dataset(tmp_path / "second", {"val-0": [again]})]
    with pytest.raises(ValueError, match=r"a\.mp4 would be in splits train and val: leakage"):
        merge(folders, tmp_path / "out")


def test_a_split_keeps_videos_together_and_does_not_move_when_videos_are_added(tmp_path: Path) -> None:
    videos = [sample(f"v{number}") for number in range(60)]
    videos += [replace(sample(f"again{number}"), video=videos[number].video) for number in range(20)]
    few = write_dataset(tmp_path / "few", {"train-0": videos[:40] + videos[60:]})
    many = write_dataset(tmp_path / "many", {"train-0": videos})
    shares = {"train": 3.0, "val": 1.0}
    for folder in (few, many):
        split(folder, folder.with_suffix(".split"), shares)
        assert not verify(folder.with_suffix(".split")).problems
    of = [
        {place.entry.key: name for name in shares for place in ShardDataset(folder, name).catalogue.places}
        for folder in (few.with_suffix(".split"), many.with_suffix(".split"))
    ]
    assert of[0].items() <= of[1].items()
    assert len(of[1]) == 80
    assert all(of[1][f"again{number}"] == of[1][f"v{number}"] for number in range(20))
    assert 8 <= sum(name == "val" for name in of[1].values()) <= 32


def test_an_interrupted_split_goes_on_but_never_mixes_two(tmp_path: Path) -> None:
    folder = five(tmp_path / "data")
    out = tmp_path / "out"
    split(folder, out, {"all": 1.0}, videos_per_shard=2)
    expected = {path.name: path.read_bytes() for path in out.iterdir()}
    for lost in ("manifest.json", "all-00001.tar"):
        (out / lost).unlink()
    split(folder, out, {"all": 1.0}, videos_per_shard=2)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == expected
    with pytest.raises(FinishedShard, match="choose another"):
        split(folder, out, {"all": 1.0}, videos_per_shard=2)
    (out / "manifest.json").unlink()
    with pytest.raises(FinishedShard, match="other folders or options"):
        split(folder, out, {"all": 1.0}, seed=1, videos_per_shard=2)


def test_an_unfinished_folder_is_neither_merged_nor_split(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data", {"train-0": [sample("a")]}, finished=False)
    with pytest.raises(MissingShard, match="did not finish"):
        merge([folder], tmp_path / "out")
