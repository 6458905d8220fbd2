"""A position saved under some ranks is resumed under others: the same samples in the same order."""

import json
import os
import subprocess
import sys
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from tests.shards.samples import sample, write_dataset
from videorouter.shards.epoch_order import EpochOrder, Item, Limits
from videorouter.shards.errors import ChangedShard, TooLittleData
from videorouter.shards.loader import EpochLoader
from videorouter.shards.reader import ShardDataset

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """23 videos in uneven shards, with one to three questions each."""
    videos = [sample(f"v{number:02}", frames=2, seed=number, questions=1 + number % 3) for number in range(23)]
    folder = tmp_path_factory.mktemp("data")
    return write_dataset(folder, {"train-0": videos[:3], "train-1": videos[3:14], "train-2": videos[14:]})


def named(shards: ShardDataset, item: Item) -> str:
    return f"{shards[item.sample].key}:{','.join(map(str, item.questions))}"


def loader_of(folder: Path, limits: Limits | None = None, seed: int = 0, **options: Any) -> EpochLoader[str]:
    shards = ShardDataset(folder)
    asked = [range(len(shards.labels(index))) for index in range(len(shards))]
    order = EpochOrder(asked, [place.entry.frames for place in shards.catalogue.places], limits or Limits(2, 3), seed)
    return EpochLoader(partial(named, shards), order, data=shards.catalogue.fingerprint, **options)


def test_workers_change_nothing_but_speed(data: Path) -> None:
    alone = list(loader_of(data))
    assert list(loader_of(data, workers=2)) == alone
    assert list(loader_of(data, workers=3, prefetch=1)) == alone


def test_every_iteration_is_the_next_epoch_and_leaves_nothing_out(data: Path) -> None:
    loader = loader_of(data)
    first, second = list(loader), list(loader)
    assert first != second
    assert sorted(chain(*first)) == sorted(chain(*second))
    assert len({name.split(":")[0] for name in chain(*first)}) == 23


def test_a_saved_position_goes_on_with_the_next_batch_and_then_with_the_next_epoch(data: Path) -> None:
    unbroken = loader_of(data)
    first, second = list(unbroken), list(unbroken)
    begun = loader_of(data)
    reading = iter(begun)
    before = [next(reading) for _ in range(5)]
    state = json.loads(json.dumps(begun.state_dict()))
    resumed = loader_of(data, workers=2)
    resumed.load_state_dict(state)
    assert len(resumed) == len(first)
    assert before + list(resumed) == first
    assert list(resumed) == second


def test_a_position_at_an_epochs_end_goes_on_with_the_next(data: Path) -> None:
    unbroken = loader_of(data)
    list(unbroken)
    resumed = loader_of(data)
    resumed.load_state_dict(unbroken.state_dict())
    assert list(resumed) == list(unbroken)


def test_a_pass_over_the_data_leaves_the_position_as_it_is(data: Path) -> None:
    loader = loader_of(data)
    passed = list(loader.pass_over())
    assert list(loader) == passed


def test_a_position_of_other_data_limits_or_seed_is_refused(data: Path, tmp_path: Path) -> None:
    state = loader_of(data).state_dict()
    other = write_dataset(tmp_path, {"train-0": [sample(f"w{number:02}") for number in range(23)]})
    for loader in (loader_of(data, Limits(1, 3)), loader_of(data, seed=1), loader_of(other)):
        with pytest.raises(ValueError, match="other shards, batch limits or another seed"):
            loader.load_state_dict(state)


def test_too_little_data_for_the_ranks_fails_at_once_with_both_numbers(data: Path) -> None:
    with pytest.raises(TooLittleData, match=r"\d+ batches an epoch cannot feed 64 ranks"):
        loader_of(data, world_size=64)


def damaged(folder: Path, keys: list[str]) -> Path:
    """A data set of twelve videos, some of them with a flipped byte."""
    write_dataset(folder, {"train-0": [sample(f"v{number:02}", frames=2, seed=number) for number in range(12)]})
    path = folder / "train-00000.tar"
    content = bytearray(path.read_bytes())
    for entry in json.loads((folder / "train-00000.json").read_text())["samples"]:
        if entry["key"] in keys:
            content[entry["members"]["frames.mjpeg"][0] + 9] ^= 0xFF
    path.write_bytes(content)
    return folder


@pytest.mark.parametrize("workers", [0, 2])
def test_damage_stops_a_reader_unless_it_is_tolerated_and_put_in_quarantine(tmp_path: Path, workers: int) -> None:
    folder = damaged(tmp_path, ["v03", "v07"])
    with pytest.raises(ChangedShard, match=r"sample v0[37] of .*train-00000\.tar.*again"):
        list(loader_of(folder, workers=workers))
    with pytest.raises(ChangedShard):
        list(loader_of(folder, workers=workers, tolerate=1))
    loader = loader_of(folder, workers=workers, tolerate=2)
    read = list(loader)
    assert sorted(chain(*read)) == [f"v{number:02}:0" for number in range(12) if number not in (3, 7)]
    assert sorted(str(one.error.key) for one in loader.quarantine) == ["v03", "v07"]
    assert len(read) == len(loader)


def test_a_step_whose_samples_are_all_damaged_is_still_taken(tmp_path: Path) -> None:
    folder = damaged(tmp_path, ["v05"])
    loader = loader_of(folder, Limits(1, 1), tolerate=1)
    read = list(loader)
    assert len(read) == 12
    assert all(len(batch) == 1 for batch in read)
    assert {name for batch in read for name in batch} == {f"v{number:02}:0" for number in range(12) if number != 5}


RANK = """
import json, os, sys
import torch.distributed as dist
from tests.shards.test_loader import loader_of
folder, state, steps, workers, out = sys.argv[1:]
from pathlib import Path
dist.init_process_group("gloo")
rank, size = dist.get_rank(), dist.get_world_size()
loader = loader_of(Path(folder), rank=rank, world_size=size, workers=int(workers))
if state != "-":
    loader.load_state_dict(json.loads(Path(state).read_text()))
read = []
for batch in loader:
    everyone = [None] * size
    dist.all_gather_object(everyone, batch)
    read += everyone
    if len(read) == int(steps) * size:
        break
if rank == 0:
    Path(out).write_text(json.dumps({"read": read, "state": loader.state_dict()}))
dist.destroy_process_group()
"""


def torchrun(ranks: int, script: Path, *arguments: object) -> None:
    subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}", script,
         *map(str, arguments)],
        check=True, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}, capture_output=True,
    )  # fmt: skip


def test_saved_under_two_processes_resumed_under_one_and_four_reads_the_same_samples_in_order(
    data: Path, tmp_path: Path
) -> None:
    script = tmp_path / "rank.py"
    script.write_text(RANK)
    everything = list(loader_of(data))
    torchrun(2, script, data, "-", 4, 1, tmp_path / "two.json")
    saved = json.loads((tmp_path / "two.json").read_text())
    assert saved["read"] == everything[:8]
    (tmp_path / "state.json").write_text(json.dumps(saved["state"]))
    for ranks in (1, 4):
        torchrun(ranks, script, data, tmp_path / "state.json", 10**6, 0, tmp_path / f"{ranks}.json")
        rest = json.loads((tmp_path / f"{ranks}.json").read_text())["read"]
        left_out = (len(everything) - 8) % ranks
        assert rest == everything[8 : len(everything) - left_out]
