"""Whatever is wrong with a shard is a typed error with shard, key and remedy, for `verify` and for whoever reads."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.shards.samples import five, sample, write_dataset
from videorouter.shards import errors as wrong
from videorouter.shards import jpeg
from videorouter.shards.__main__ import main
from videorouter.shards.errors import ShardError
from videorouter.shards.reader import ShardDataset
from videorouter.shards.sample import ShardSample
from videorouter.shards.verify import verify

SHARD = "train-00001.tar"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return five(tmp_path)


def edit_sidecar(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "train-00001.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def edit_bytes(path: Path, position: int, data: bytes) -> None:
    content = bytearray(path.read_bytes())
    content[position : position + len(data)] = data
    path.write_bytes(content)


def offset_of(folder: Path, key: str, member: str) -> int:
    entries = json.loads((folder / "train-00001.json").read_text())["samples"]
    return int(next(entry for entry in entries if entry["key"] == key)["members"][member][0])


def truncate(folder: Path) -> None:
    (folder / SHARD).write_bytes((folder / SHARD).read_bytes()[:3000])


def flip_in_a_sample(folder: Path) -> None:
    edit_bytes(folder / SHARD, offset_of(folder, "e", "frames.mjpeg") + 100, b"\xff\x00\xaa")


def flip_in_a_header(folder: Path) -> None:
    edit_bytes(folder / SHARD, 0, b"z")


def change_unseen_padding(folder: Path) -> None:
    edit_bytes(folder / SHARD, (folder / SHARD).stat().st_size - 3, b"!")


def lose_sidecar(folder: Path) -> None:
    (folder / "train-00001.json").unlink()


def lose_tar(folder: Path) -> None:
    (folder / SHARD).unlink()


def garble_sidecar(folder: Path) -> None:
    (folder / "train-00001.json").write_text('{"schema_version": 2, "samples": ')


def repeat_key(folder: Path) -> None:
    for ending in ("tar", "json"):
        (folder / f"train-00001.{ending}").write_bytes((folder / f"train-00000.{ending}").read_bytes())


def add_foreign_member(folder: Path) -> None:
    with tarfile.open(folder / SHARD, "a") as tar:
        info = tarfile.TarInfo("../../etc/passwd")
        info.size = 3
        tar.addfile(info, io.BytesIO(b"abc"))


def replace_by_link(folder: Path) -> None:
    edit_bytes(folder / SHARD, 156, tarfile.SYMTYPE)
    rewrite_checksum(folder / SHARD, 0)


def claim_a_bomb(folder: Path) -> None:
    """The header of the first member says 7 GiB; the file holds a few kilobytes."""
    edit_bytes(folder / SHARD, 124, b"%011o\0" % (7 * 2**30))
    rewrite_checksum(folder / SHARD, 0)


def claim_a_bomb_in_the_sidecar(folder: Path) -> None:
    edit_sidecar(folder, lambda c: c["samples"][0]["members"].update({"frames.mjpeg": [512, 2**40]}))


def point_outside(folder: Path) -> None:
    edit_sidecar(folder, lambda c: c["samples"][0]["members"].update({"frames.mjpeg": [10**8, 100]}))


def rewrite_checksum(path: Path, header: int) -> None:
    block = bytearray(path.read_bytes()[header : header + 512])
    block[148:156] = b" " * 8
    edit_bytes(path, header + 148, b"%06o\0 " % sum(block))


DAMAGE: dict[Callable[[Path], None], tuple[type[ShardError], str | None]] = {
    truncate: (wrong.TruncatedShard, None),
    flip_in_a_sample: (wrong.ChangedShard, "e"),
    flip_in_a_header: (wrong.ChangedShard, None),
    change_unseen_padding: (wrong.ChangedShard, None),
    lose_sidecar: (wrong.MissingSidecar, None),
    lose_tar: (wrong.MissingShard, None),
    garble_sidecar: (wrong.BadSidecar, None),
    repeat_key: (wrong.DuplicateKey, "a"),
    add_foreign_member: (wrong.ForeignMember, None),
    replace_by_link: (wrong.ForeignMember, "d"),
    claim_a_bomb: (wrong.OversizedMember, "d"),
    claim_a_bomb_in_the_sidecar: (wrong.OversizedMember, "d"),
    point_outside: (wrong.BadSidecar, "d"),
}


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_verify_names_shard_key_and_remedy(
    folder: Path, damage: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    damage(folder)
    kind, key = DAMAGE[damage]
    found = [problem for problem in verify(folder).problems if type(problem) is kind]
    assert found, verify(folder).problems
    assert any(problem.key == key for problem in found)
    assert all("train-00001" in problem.shard and problem.remedy for problem in found)
    assert main(["verify", str(folder)]) == 1
    assert "train-00001" in capsys.readouterr().err


@pytest.mark.parametrize(
    "damage",
    [
        truncate, flip_in_a_sample, lose_sidecar, lose_tar, garble_sidecar, repeat_key, claim_a_bomb_in_the_sidecar,
        point_outside,
    ],
    ids=lambda damage: damage.__name__,
)  # fmt: skip
def test_a_reader_stops_at_the_same_damage_with_the_same_type(folder: Path, damage: Callable[[Path], None]) -> None:
    damage(folder)
    with pytest.raises(DAMAGE[damage][0], match=r"(?s)train-0000.*(again|remove)"):
        list(ShardDataset(folder))


def test_every_flipped_byte_of_a_sample_is_noticed(folder: Path) -> None:
    dataset = ShardDataset(folder)
    sound = (folder / SHARD).read_bytes()
    for name, (start, size) in dataset.catalogue.places[4].entry.members.items():
        for position in {start, start + size // 2, start + size - 1}:
            edit_bytes(folder / SHARD, position, bytes([sound[position] ^ 0x10]))
            with pytest.raises(wrong.ChangedShard, match="sample e of"):
                dataset[4]
            (folder / SHARD).write_bytes(sound)
            assert dataset[4].key == "e", name


def absurd(data: bytes) -> ShardSample:
    """A sample whose first frame is `data`."""
    sound = sample("absurd")
    jpegs = [data, *sound.jpegs[1:]]
    record = sound.video.model_copy(update={"frame_bytes": [len(one) for one in jpegs]})
    return ShardSample("absurd", record, sound.questions, jpegs)


def huge() -> bytes:
    """A small JPEG that claims 65,500 x 65,500 pixels: 12 GiB once decoded."""
    data = bytearray(jpeg.encode(np.zeros((16, 24, 3), dtype=np.uint8)))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = (65500).to_bytes(2, "big") * 2
    return bytes(data)


@pytest.mark.parametrize(
    "data",
    [b"not a picture", huge(), jpeg.encode(np.zeros((8, 8, 3), dtype=np.uint8)), b"\xff\xd8\xff\xe0"],
    ids=["text", "huge", "another size", "a stump"],
)
def test_an_absurd_picture_is_a_typed_error_with_its_key(tmp_path: Path, data: bytes) -> None:
    write_dataset(tmp_path, {"train-0": [sample("a"), absurd(data)]})
    (problem,) = verify(tmp_path).problems
    assert (type(problem), problem.key) == (wrong.BadPicture, "absurd")
    with pytest.raises(wrong.BadPicture, match=r"sample absurd of .*frame 0"):
        ShardDataset(tmp_path)[1].frames()


def test_labels_of_another_length_than_the_frames_are_named(tmp_path: Path) -> None:
    good = sample("a")
    short = sample("b", frames=3).questions
    write_dataset(tmp_path, {"train-0": [ShardSample("a", good.video, short, good.jpegs)]})
    (problem,) = verify(tmp_path).problems
    assert type(problem) is wrong.BadLabels
    assert "labels 3 frames, the sample holds 4" in str(problem)


def test_a_shard_the_manifest_does_not_list_is_named(folder: Path) -> None:
    write_dataset(folder, {"train-7": [sample("late")]}, finished=False)
    (problem,) = verify(folder).problems
    assert type(problem) is wrong.ForeignMember
    assert len(ShardDataset(folder)) == 5


def test_sound_shards_pass_and_an_unfinished_build_passes_as_far_as_it_came(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(folder)]) == 0
    assert "sound (2 shards, 5 samples)" in capsys.readouterr().out
    (folder / "manifest.json").unlink()
    assert main(["verify", str(folder)]) == 0
    assert "sound so far" in capsys.readouterr().out
    assert main(["verify", str(folder), "--complete", "true"]) == 1
