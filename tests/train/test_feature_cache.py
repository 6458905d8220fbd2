"""Features that are kept come back as they were, to every rank and every later start, and never in place of others."""

import logging
from pathlib import Path

import pytest
import torch

from videorouter.train.feature_cache import DiskCache

KEYS = [("video-1", "What?"), ("video-1", "Who?\n\U0001f600")]
OF = {"base": "a", "layers": 4}


def test_what_one_rank_keeps_another_reads(tmp_path: Path) -> None:
    first, second = DiskCache(tmp_path, OF), DiskCache(tmp_path, OF)
    features = torch.randn(2, 5, 6)
    first.keep(KEYS, features)
    assert not second.known(KEYS)
    second.refresh()
    found = second.read(KEYS)
    assert found is not None
    assert torch.equal(torch.stack(found), features)
    assert DiskCache(tmp_path, OF).known(KEYS), "a later start"
    assert not DiskCache(tmp_path, OF | {"layers": 2}).known(KEYS), "other features"


def test_what_a_kill_cut_off_is_computed_again(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, OF)
    cache.keep(KEYS, torch.randn(2, 5, 6))
    (data,) = cache.folder.glob("*.bin")
    content = data.read_bytes()
    data.write_bytes(content[:-7])
    again = DiskCache(tmp_path, OF)
    assert again.read(KEYS[:1]) is not None
    assert again.read(KEYS) is None
    assert not again.known(KEYS), "asked for once more"
    data.write_bytes(b"x" + content[1:])
    assert DiskCache(tmp_path, OF).read(KEYS[:1]) is None, "other bytes than were kept"
    (listed,) = cache.folder.glob("*.jsonl")
    listed.write_bytes(listed.read_bytes()[:-9])
    assert not DiskCache(tmp_path, OF).known(KEYS[1:])


def test_a_full_disk_ends_the_keeping_and_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = DiskCache(tmp_path, OF)
    cache._own = Path("/dev/full")
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            cache.keep(KEYS, torch.randn(2, 500, 600))
    assert [record.message for record in caplog.records] == [
        f"features are kept no longer, {cache.folder}: No space left on device"
    ]
    assert not cache.known(KEYS)
