"""Shards of smooth moving pictures, which several benchmarks read."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from rich.progress import track

from videorouter.shards import jpeg
from videorouter.shards.sample import ShardSample
from videorouter.shards.schema import FrameRelevance, LabelledQuestion, VideoQuestion, VideoRecord
from videorouter.shards.sidecar import write_manifest
from videorouter.shards.writer import shard_path, write_shard


def write_smooth_videos(
    folder: Path, videos: Mapping[str, int], frames: int, height: int, width: int, per_shard: int = 64
) -> Path:
    """So many `videos` by split, each of `frames` pictures with one question that its first frame answers."""
    random, (down, across) = np.random.default_rng(0), (np.linspace(0, 1, side) for side in (height, width))
    names = []
    for split, count in videos.items():
        for first in track(range(0, count, per_shard), f"shards of {split}", transient=True):
            samples = []
            for number in range(first, min(first + per_shard, count)):
                phase = random.uniform(0, 6, (3, 2))
                pictures = (
                    np.stack(
                        [np.sin(down[:, None] * 9 + p) * np.cos(across * 7 + q + step / 3) for p, q in phase], axis=-1
                    )
                    for step in range(frames)
                )
                jpegs = [jpeg.encode((127 + 120 * picture).astype(np.uint8), 90) for picture in pictures]
                record = VideoRecord(
                    uri=f"{split}-{number}.mp4", duration=frames, fps=1, total=frames, decoder="none", sampler="all",
                    indices=list(range(frames)), seconds=[float(i) for i in range(frames)], height=height, width=width,
                    frame_bytes=[len(data) for data in jpegs],
                )  # fmt: skip
                question = VideoQuestion(
                    id=f"{split}{number}", video=record.uri, question="What?", task_type="none", source="benchmark"
                )
                relevance = FrameRelevance(relevant=[True, *[False] * (frames - 1)])
                label = LabelledQuestion(question=question, relevance=relevance, origin="spans")
                samples.append(ShardSample(f"{split}{number:06}", record, [label], jpegs))
            path = shard_path(folder, split, first // per_shard)
            write_shard(path, samples, "benchmark")
            names.append(path.name)
    write_manifest(folder, shards=names, fingerprint="benchmark", config={}, licences=[])
    return folder
