"""Workers make frames ready as the backbone takes them, in memory that is shared, bounded, and given back; nobody waits for it."""

import gc
import multiprocessing
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from videorouter.shards.errors import BadPicture
from videorouter.shards.frame_ring import FrameRing, SharedFrames
from videorouter.train.data.feeding import Feeding, RingSize
from videorouter.train.data.frame_relevance import FrameRelevanceData
from videorouter.video.frames import resize_frames

SIZE = 56, 84
SHAPE = (4, 10, 12, 3)


def received(ring: FrameRing, value: int) -> SharedFrames:
    """Frames that another process put into the ring, as they arrive here."""
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    worker = context.Process(target=lambda: queue.put(ring.put(SHAPE, lambda array: array.fill(value))))
    worker.start()
    found = queue.get()
    worker.join()
    return found


def test_a_slot_is_free_again_when_nothing_looks_at_its_frames() -> None:
    ring = FrameRing(2, 2000)
    first = received(ring, 7)
    view = torch.from_numpy(first.array[1:3, ::2])
    second = received(ring, 9)
    assert ring.taken == 2
    assert received(ring, 1) is None, "none is free, and nobody waits"
    assert int(view.min()) == int(view.max()) == 7
    assert (second.array == 9).all()
    del second
    gc.collect()
    assert ring.taken == 1
    del first
    gc.collect()
    assert ring.taken == 1, "a tensor still looks at it"
    del view
    gc.collect()
    assert ring.taken == 0
    assert ring.put((40, 10, 12, 3), lambda array: None) is None, "larger than a slot"


def test_a_video_that_does_not_decode_leaves_its_slot_free() -> None:
    ring = FrameRing(1, 2000)

    def damaged(array: np.ndarray) -> None:
        raise BadPicture("frame 0", shard="a", key="b")

    with pytest.raises(BadPicture):
        ring.put(SHAPE, damaged)
    assert ring.taken == 0


def data_of(flr: Path, workers: int, feeding: Feeding | None) -> FrameRelevanceData:
    data: Any = FrameRelevanceData(str(flr), batch_size=2, questions_per_item=2, workers=workers)
    data.trainer = SimpleNamespace(
        global_rank=0, world_size=1, accumulate_grad_batches=1, limit_train_batches=1.0, limit_val_batches=0
    )
    data.setup("fit")
    if feeding is not None:
        data.feed(feeding)
    found: FrameRelevanceData = data
    return found


@pytest.mark.parametrize("workers", [0, 2])
def test_frames_come_as_the_backbone_would_resize_them(flr: Path, workers: int) -> None:
    plain = [item for batch in data_of(flr, 0, None).train_dataloader() for item in batch.items]
    fed = data_of(flr, workers, Feeding(lambda *stored: SIZE)).train_dataloader()
    count = 0
    for batch in fed:
        for item in batch.items:
            other = plain[count]
            count += 1
            assert item.key == other.key
            assert item.stored == other.stored
            assert np.array_equal(item.frames(), resize_frames(other.frames(), SIZE))
            assert (item.shared is not None) == bool(workers)
            assert bool(item.sample.jpegs) != bool(workers), "pictures are not sent beside their frames"
    assert count == len(plain)


def test_a_consumer_that_keeps_every_video_is_never_made_to_wait(flr: Path) -> None:
    loader = data_of(flr, 2, Feeding(lambda *stored: SIZE)).train_dataloader()
    kept = [item for _ in range(2) for batch in loader for item in batch.items]
    assert len(kept) > (2 * 2 + 2)
    assert any(item.shared is None for item in kept)
    assert all(item.frames().shape[1:3] == SIZE for item in kept)


def test_videos_whose_frames_nobody_wants_come_without_them(flr: Path) -> None:
    for batch in data_of(flr, 1, Feeding(lambda *stored: SIZE, lambda video: False)).train_dataloader():
        assert all(item.shared is None and not item.sample.jpegs for item in batch.items)


def test_more_than_the_memory_there_is_said_before_the_first_step(flr: Path) -> None:
    with pytest.raises(ValueError, match=r"videos of .* GB, more than the .* GB there: fewer data\.init_args\.workers"):
        data_of(flr, 2, Feeding(lambda *stored: (50_000, 50_000)))
    assert RingSize.of(workers=4, prefetch=2, videos_a_batch=1, slot_bytes=38_535_168).bytes == 385_351_680


@pytest.fixture
def fitted(base: Path, flr: Path, tmp_path: Path) -> Callable[[int], dict[str, Any]]:
    from videorouter.routers.checkpoints.trained_file import STATE, read_tensors
    from videorouter.train.__main__ import main

    def fit(workers: int) -> dict[str, Any]:
        out = tmp_path / f"workers-{workers}"
        arguments = [
            "fit",
            "--config",
            "miniature/image_router",
            "--model.init_args.base",
            str(base),
            "--out",
            str(out),
        ]
        arguments += [
            "--data.init_args.shards",
            str(flr),
            "--data.init_args.batch_size",
            "2",
            "--trainer.max_epochs",
            "2",
        ]
        arguments += ["--data.init_args.workers", str(workers), "--trainer.limit_val_batches", "0"]
        assert main([*arguments, "--data.init_args.batches_a_step", "2"]) == 0
        return read_tensors(out / "checkpoints" / "last.ckpt", STATE)

    return fit


@pytest.mark.slow
def test_a_training_is_the_same_whoever_decodes(fitted: Callable[[int], dict[str, Any]]) -> None:
    here, workers = fitted(0), fitted(2)
    assert all(torch.equal(here[name], workers[name]) for name in here)
