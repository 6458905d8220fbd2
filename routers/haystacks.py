"""Haystacks with known needles: the videos of a Video-FLR data set, and which of their frames answer a question."""

import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from videorouter.routers.systems.query import Query


@dataclass(frozen=True)
class Haystack:
    """A video's `frames` uint8 RGB `[T, H, W, 3]`, shown at `seconds`, and questions with T bools: is the answer in this frame?"""

    video: str
    frames: np.ndarray
    seconds: list[float]
    needles: list[tuple[Query, tuple[bool, ...]]]


def read_haystacks(
    folder: Path, split: str | None = None, *, questions: int = 64, a_video: int = 8, largest_share: float = 0.25
) -> Iterator[Haystack]:
    """Up to `questions` questions, at most `a_video` of one video, in the order of the shards in the local `folder`.

    Only questions count whose evidence is in some frames, at most `largest_share` of them: a needle must be small. Shards are
    read as the plain tars that they are (docs/shard-format.md). Raises `ValueError` where there is none or no such question.
    """
    shards = sorted(path for path in folder.glob("*.tar") if split is None or path.stem.rsplit("-", 1)[0] == split)
    if not shards:
        raise ValueError(
            f"no shards{f' of split {split!r}' if split else ''} in {folder}: give a folder of Video-FLR shards"
        )
    left = questions
    for shard in shards:
        for members in _samples(shard):
            asked = _needles(members["labels.json"], largest_share)[: min(left, a_video)]
            if asked:
                left -= len(asked)
                record = json.loads(members["video.json"])
                frames = _frames(members["frames.mjpeg"], record["frame_bytes"])
                yield Haystack(record["uri"], frames, record["seconds"], asked)
            if not left:
                return
    if left == questions:
        raise ValueError(f"no question in {folder} has evidence in at most {largest_share:.0%} of its video's frames")


def _samples(shard: Path) -> Iterator[dict[str, bytes]]:
    """The members of one sample after another, by name without the key."""
    key, members = "", dict[str, bytes]()
    with tarfile.open(shard) as tar:
        for info in tar:
            of, name = info.name.split(".", 1)
            if of != key and members:
                yield members
                members = {}
            file = tar.extractfile(info)
            assert file is not None
            key, members[name] = of, file.read()
    if members:
        yield members


def _needles(labels: bytes, largest_share: float) -> list[tuple[Query, tuple[bool, ...]]]:
    found = []
    for labelled in json.loads(labels)["questions"]:
        question: dict[str, Any] = labelled["question"]
        relevant = (labelled["relevance"] or {}).get("relevant", [])
        if 0 < sum(relevant) <= largest_share * len(relevant):
            found.append((Query(question["question"], tuple(question["options"] or ()) or None), tuple(relevant)))
    return found


def _frames(packed: bytes, sizes: list[int]) -> np.ndarray:
    pictures = [packed[start:end] for start, end in pairwise(accumulate(sizes, initial=0))]
    return np.stack([np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")) for picture in pictures])
