"""Samples and small data sets to write, read and damage."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from videorouter.shards import jpeg
from videorouter.shards.sample import ShardSample
from videorouter.shards.schema import FrameRelevance, LabelledQuestion, VideoQuestion, VideoRecord
from videorouter.shards.sidecar import write_manifest
from videorouter.shards.writer import shard_path, write_shard


def question(name: str = "q0", video: str = "a.mp4") -> VideoQuestion:
    """A question with two options."""
    return VideoQuestion(
        id=name, video=video, question="What?", options=["x", "y"], answer="y", task_type="what", source="test"
    )


def sample(key: str, frames: int = 4, seed: int = 0, questions: int = 1, side: int = 16) -> ShardSample:
    """A video of random frames."""
    pictures = np.random.default_rng(seed).integers(0, 256, (frames, side, side + 8, 3), dtype=np.uint8)
    jpegs = [jpeg.encode(picture) for picture in pictures]
    record = VideoRecord(
        uri=f"{key}.mp4", duration=4.0, fps=10.0, total=40, decoder="pyav", sampler="segment_midpoint",
        indices=list(range(frames)), seconds=[i / 10 for i in range(frames)], height=side, width=side + 8,
        frame_bytes=[len(data) for data in jpegs],
    )  # fmt: skip
    labelled = [
        LabelledQuestion(
            question=question(f"{key}-q{number}", record.uri),
            relevance=FrameRelevance(relevant=[True] * frames),
            origin="spans",
        )
        for number in range(questions)
    ]
    return ShardSample(key, record, labelled, jpegs)


def write_dataset(folder: Path, shards: Mapping[str, list[ShardSample]], finished: bool = True) -> Path:
    """Shards by `split-number`, and a manifest."""
    names = []
    for name, samples in shards.items():
        split, number = name.rsplit("-", 1)
        path = shard_path(folder, split, int(number))
        write_shard(path, samples, "f")
        names.append(path.name)
    if finished:
        write_manifest(folder, shards=names, fingerprint="f", config={"made": "by a test"}, licences=["unstated"])
    return folder


def five(folder: Path) -> Path:
    """Two shards of five samples, one with fewer frames than the others."""
    return write_dataset(
        folder, {"train-0": [sample("a"), sample("b", seed=1), sample("c", 2)], "train-1": [sample("d"), sample("e")]}
    )
