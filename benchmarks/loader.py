"""Samples a second: our loader against plain webdataset and `datasets` streaming. `make bench-loader`, minutes.

The same tars, the same decoding (every JPEG of a sample to uint8 RGB), shuffling on. The three take turns, so that a slower
minute of the machine is everybody's; what counts is the ratio of medians. Also: what resuming in the middle of 10,000 samples
costs, and the memory a loader takes.
"""

import gc
import json
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jsonargparse import auto_cli
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.smooth_videos import write_smooth_videos
from videorouter.shards import jpeg
from videorouter.shards.epoch_order import EpochOrder, Item, Limits
from videorouter.shards.loader import EpochLoader
from videorouter.shards.reader import ShardDataset

SHUFFLED = 256
"""Samples in the shuffle buffers of the streaming readers; ours shuffles all."""


def decoded(video: dict[str, Any], packed: bytes) -> np.ndarray:
    """What the other two do with a sample's members."""
    spans = pairwise(accumulate(video["frame_bytes"], initial=0))
    return np.stack([jpeg.decode(packed[start:end], video["height"], video["width"]) for start, end in spans])


def ours(folder: Path, workers: int, epoch: int) -> Iterator[np.ndarray]:
    shards = ShardDataset(folder)
    count = len(shards)
    order = EpochOrder([(0,)] * count, [1] * count, Limits(1, 1), seed=epoch)
    for batch in EpochLoader(partial(_frames, shards), order, data=shards.catalogue.fingerprint, workers=workers):
        yield from batch


def _frames(shards: ShardDataset, item: Item) -> np.ndarray:
    return shards[item.sample].frames()


def plain_webdataset(folder: Path, workers: int, epoch: int) -> Iterator[np.ndarray]:
    import webdataset

    urls = [str(path) for path in sorted(folder.glob("*.tar"))]
    dataset = (
        webdataset.WebDataset(urls, shardshuffle=len(urls), seed=epoch, workersplitter=webdataset.split_by_worker)
        .shuffle(SHUFFLED)
        .map(_of_webdataset)
    )
    for batch in webdataset.WebLoader(dataset, batch_size=1, num_workers=workers, collate_fn=list):
        yield from batch


def _of_webdataset(sample: dict[str, Any]) -> np.ndarray:
    json.loads(sample["labels.json"])
    return decoded(json.loads(sample["video.json"]), sample["frames.mjpeg"])


def datasets_streaming(folder: Path, workers: int, epoch: int) -> Iterator[np.ndarray]:
    import datasets
    from torch.utils.data import DataLoader

    files = [str(path) for path in sorted(folder.glob("*.tar"))]
    stream = datasets.load_dataset("webdataset", data_files={"train": files}, split="train", streaming=True)
    stream = stream.shuffle(seed=epoch, buffer_size=SHUFFLED)
    for batch in DataLoader(stream, batch_size=1, num_workers=workers, collate_fn=_of_datasets):
        yield from batch


def _of_datasets(rows: list[dict[str, Any]]) -> list[np.ndarray]:
    return [decoded(row["video.json"], row["frames.mjpeg"]) for row in rows]


READERS: dict[str, Callable[[Path, int, int], Iterable[np.ndarray]]] = {
    "ours": ours,
    "webdataset": plain_webdataset,
    "datasets": datasets_streaming,
}


def rate(reader: Callable[[Path, int, int], Iterable[np.ndarray]], folder: Path, workers: int, epoch: int) -> float:
    """Samples a second of one whole epoch, workers' start included."""
    gc.collect()
    started = time.perf_counter()
    count = sum(1 for frames in reader(folder, workers, epoch) if frames.ndim == 4)
    return count / (time.perf_counter() - started)


def resume_seconds(samples: int = 10_000) -> float:
    """From opening the folder to having the first sample after a position in the middle of an epoch."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = write_smooth_videos(Path(temporary), {"train": samples}, frames=1, height=16, width=16, per_shard=500)

        def opened() -> EpochLoader[np.ndarray]:
            shards = ShardDataset(folder)
            order = EpochOrder([(0,)] * len(shards), [1] * len(shards), Limits(1, 1))
            return EpochLoader(partial(_frames, shards), order, data=shards.catalogue.fingerprint)

        state = opened().state_dict() | {"consumed": samples // 2, "steps": samples // 2}
        started = time.perf_counter()
        loader = opened()
        loader.load_state_dict(state)
        next(iter(loader))
        return time.perf_counter() - started


def main(videos: int = 384, frames: int = 16, side: int = 224, runs: int = 15, out: Path | None = None) -> None:
    """Measure and print.

    Args:
        videos: samples in the data set
        frames: frames a sample
        side: pixels a side
        runs: times each reader reads the whole data set, interleaved
        out: JSON file to write the figures to
    """
    results: dict[str, Any] = {"videos": videos, "frames": frames, "side": side, "runs": runs}
    table = Table("workers", *READERS, "ours / faster other", title=f"samples/s, medians of {runs} interleaved runs")
    with tempfile.TemporaryDirectory() as temporary:
        folder = write_smooth_videos(Path(temporary), {"train": videos}, frames, side, side)
        for workers in (0, 2):
            rates: dict[str, list[float]] = {name: [] for name in READERS}
            for turn in track(range(runs + 1), f"{workers} workers", transient=True):
                names = list(READERS)
                for name in (*names[turn % 3 :], *names[: turn % 3]):  # nobody is always first
                    measured = rate(READERS[name], folder, workers, turn)
                    if turn:  # the first turn warms caches and imports
                        rates[name].append(measured)
            medians = {name: statistics.median(values) for name, values in rates.items()}
            ratio = medians["ours"] / max(medians["webdataset"], medians["datasets"])
            results[f"{workers} workers"] = {"rates": rates, "medians": medians, "ratio": ratio}
            table.add_row(str(workers), *(f"{medians[name]:.1f}" for name in READERS), f"{ratio:.3f}")
    results["resume_seconds"] = resume_seconds()
    results["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    console = Console(markup=False)
    console.print(table)
    console.print(f"resuming in the middle of 10,000 samples: {results['resume_seconds']:.2f} s")
    console.print(f"peak memory of the process: {results['peak_mb']:.0f} MB")
    if out:
        out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    auto_cli(main)
