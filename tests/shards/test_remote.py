"""Shards behind an address are read as those in a folder, without a copy, also by workers."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import fsspec
import pytest

from tests.loopback.files import folder_server
from tests.loopback.serving import served
from tests.shards.samples import five
from videorouter.shards.epoch_order import EpochOrder, Item, Limits
from videorouter.shards.errors import MissingShard, TruncatedShard
from videorouter.shards.loader import EpochLoader
from videorouter.shards.reader import ShardDataset


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return five(tmp_path)


@pytest.fixture
def memory(folder: Path) -> Iterator[str]:
    system = fsspec.filesystem("memory")
    for path in folder.iterdir():
        system.pipe_file(f"/data/{path.name}", path.read_bytes())
    yield "memory://data"
    system.rm("/data", recursive=True)


@pytest.fixture
def web(folder: Path) -> Iterator[str]:
    with served(folder_server(folder)) as address:
        yield address


def key_of(shards: ShardDataset, item: Item) -> str:
    return shards[item.sample].key


@pytest.mark.parametrize("where", ["memory", "web"])
def test_an_address_is_read_as_a_folder_is(where: str, folder: Path, request: pytest.FixtureRequest) -> None:
    address = request.getfixturevalue(where)
    remote, local = ShardDataset(address, "train"), ShardDataset(folder, "train")
    assert list(remote) == list(local)
    assert remote.labels(2) == local.labels(2)
    assert remote.catalogue.fingerprint == local.catalogue.fingerprint
    order = EpochOrder([(0,)] * 5, [4] * 5, Limits(1, 2))
    assert list(EpochLoader(partial(key_of, remote), order, workers=2)) == list(
        EpochLoader(partial(key_of, local), order)
    )


def test_an_unfinished_data_set_is_listed_where_listing_is_possible(memory: str) -> None:
    fsspec.filesystem("memory").rm("/data/manifest.json")
    assert len(ShardDataset(memory)) == 5


def test_an_address_without_shards_is_named(memory: str) -> None:
    with pytest.raises(MissingShard, match="memory://nothing"):
        ShardDataset("memory://nothing")


def test_a_shard_that_ends_early_behind_an_address_is_named(memory: str) -> None:
    system = fsspec.filesystem("memory")
    system.pipe_file("/data/train-00001.tar", system.cat_file("/data/train-00001.tar")[:2000])
    with pytest.raises(TruncatedShard, match=r"sample e of memory://data/train-00001\.tar"):
        ShardDataset(memory)[4]
