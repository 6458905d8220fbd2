"""Features that are kept come back as they were, to every rank and every later start, and never in place of others."""

import logging
from pathlib import Path

import pytest
import torch

from videorouter.train.modules.feature_cache import DiskCache, Key

KEYS: list[Key] = [("video-1", "What?"), "Who?\n\U0001f600"]
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


@pytest.mark.slow
def test_a_training_with_features_on_disk_is_the_one_without(base: Path, flr: Path, tmp_path: Path) -> None:
    """Its second run encodes no frame."""
    from videorouter.routers.backbones.internvl import InternVLBackbone
    from videorouter.routers.checkpoints.trained_file import STATE, read_tensors
    from videorouter.train.__main__ import main

    def fit(name: str, *options: str) -> dict[str, torch.Tensor]:
        arguments = ["fit", "--config", "miniature/image_router", "--model.init_args.base", str(base)]
        arguments += [
            "--data.init_args.shards",
            str(flr),
            "--data.init_args.batch_size",
            "2",
            "--out",
            str(tmp_path / name),
        ]
        arguments += [
            "--trainer.max_epochs",
            "2",
            "--trainer.limit_val_batches",
            "0",
            "--data.init_args.batches_a_step",
            "2",
        ]
        assert main([*arguments, *options]) == 0
        return read_tensors(tmp_path / name / "checkpoints" / "last.ckpt", STATE)

    on_disk = "--model.init_args.feature_folder", str(tmp_path / "features")
    none = "--model.init_args.cache_features", "false"
    without, first = fit("without", *none), fit("first", *none, *on_disk)
    with pytest.MonkeyPatch.context() as patched:
        patched.delattr(InternVLBackbone, "_encode")
        again = fit("again", *none, *on_disk, "--data.init_args.workers", "1")
    assert all(torch.equal(without[name], first[name]) for name in without)
    assert all(torch.equal(without[name], again[name]) for name in without)
