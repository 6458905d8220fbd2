"""Videos a second that loader workers feed, and what they cost the process that trains. `make bench-feeding`, minutes.

The consumer stands in for a GPU: it takes a video's frames as the backbone takes them and sleeps 100 ms. Frames made ready by
workers (`train/data/feeding.py`) are compared with pictures that the training process decodes and resizes itself; with `--before
TREE`, a checkout of an earlier state, that state is the other side. The two take turns; ratios of medians count. Also: what one
worker alone decodes.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

SLEEP = 0.1
"""Seconds that a video takes the consumer."""
STORED = ((448, 448, 448), (360, 640, 448), (224, 224, 224))
"""(height, width) of frames in the shards, and the side of the square that the backbone takes."""


def main() -> None:
    """Print a line a size: videos a second and CPU seconds a video of the training process, both sides, and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--before", type=Path, help="a checkout of an earlier state; this one, decoding itself, where not given"
    )
    parser.add_argument("--videos", type=int, default=48)
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--consume", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.consume:
        print(json.dumps(consumed(**json.loads(options.consume))))
        return
    from benchmarks.smooth_videos import write_smooth_videos  # a consumer runs on the code of another checkout

    here = Path(__file__).parents[1]
    trees = {"fed": here, "before": (options.before or here).resolve()}
    for height, width, side in STORED:
        with tempfile.TemporaryDirectory() as folder:
            write_smooth_videos(Path(folder), {"train": options.videos, "val": 1}, options.frames, height, width)
            found: dict[str, list[dict[str, float]]] = {"fed": [], "before": []}
            for turn in range(options.rounds):
                for name in sorted(found, reverse=bool(turn % 2)):
                    asked = {"folder": folder, "side": side, "workers": options.workers, "fed": name == "fed"}
                    found[name].append(run(trees[name], asked))
            alone = run(here, {"folder": folder, "side": side, "workers": 1, "fed": True, "sleep": 0.0})
        rates = {name: statistics.median(one["rate"] for one in each) for name, each in found.items()}
        cpu = {name: statistics.median(one["cpu"] for one in each) for name, each in found.items()}
        print(
            f"{width}x{height} -> {side}: {rates['fed']:.2f} videos a second, before {rates['before']:.2f}: "
            f"{rates['fed'] / rates['before']:.2f}x; CPU of the training process {1000 * cpu['fed']:.1f} ms a video, before "
            f"{1000 * cpu['before']:.1f}: {cpu['fed'] / cpu['before']:.2f}; one worker alone {alone['rate']:.2f} a second",
            flush=True,
        )


def run(tree: Path, asked: dict[str, Any]) -> dict[str, float]:
    """One consumer in a process of its own, on the code of `tree`."""
    command = [sys.executable, str(Path(__file__).resolve()), "--consume", json.dumps(asked)]
    environment = os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, cwd=tree, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def consumed(folder: str, side: int, workers: int, fed: bool, sleep: float = SLEEP) -> dict[str, float]:
    """Videos a second of an epoch from its first video on, and CPU seconds of this process for each."""
    from videorouter.train.data import FrameRelevanceData
    from videorouter.video.frames import resize_frames

    data: Any = FrameRelevanceData(folder, batch_size=1, questions_per_item=1, workers=workers)
    data.trainer = SimpleNamespace(
        global_rank=0, world_size=1, accumulate_grad_batches=1, limit_train_batches=1.0, limit_val_batches=0
    )
    data.setup("fit")
    if fed:
        from videorouter.train.data.feeding import Feeding

        data.feed(Feeding(lambda frames, height, width: (side, side)))
    started, cpu, videos = 0.0, 0.0, -1
    for batch in data.train_dataloader():
        for item in batch.items:
            frames = resize_frames(item.frames(), side)
            assert frames.shape[1:3] == (side, side)
            time.sleep(sleep)
        videos += 1
        if not started:
            started, cpu = time.perf_counter(), time.process_time()
    return {"rate": videos / (time.perf_counter() - started), "cpu": (time.process_time() - cpu) / videos}


if __name__ == "__main__":
    main()
