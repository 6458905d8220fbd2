"""One sample: a video's frames as JPEG, where they came from, and all of its labelled questions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shards import jpeg
from shards.schema import LabelledQuestion, Labels, VideoRecord

FRAMES, VIDEO, LABELS = "frames.mjpeg", "video.json", "labels.json"
MEMBERS = (FRAMES, VIDEO, LABELS)


@dataclass(frozen=True)
class ShardSample:
    """A sample in memory. `jpegs` holds T pictures; `key` is unique over the data set and holds no dot or slash."""

    key: str
    video: VideoRecord
    questions: list[LabelledQuestion]
    jpegs: list[bytes]

    def frames(self) -> np.ndarray:
        """Decoded frames, uint8 `[T, H, W, 3]`."""
        return np.stack([jpeg.decode(data) for data in self.jpegs])

    def members(self) -> dict[str, bytes]:
        """The tar members by name: JPEGs one after another, and two JSON files."""
        labels = Labels(questions=self.questions)
        return {
            FRAMES: b"".join(self.jpegs),
            VIDEO: self.video.model_dump_json().encode(),
            LABELS: labels.model_dump_json().encode(),
        }


def from_members(key: str, members: dict[str, bytes]) -> ShardSample:
    """Parse a sample's tar members. Raises `ValueError` (pydantic's) or `KeyError` where they do not fit the schema."""
    video = VideoRecord.model_validate_json(members[VIDEO])
    labels = Labels.model_validate_json(members[LABELS])
    return ShardSample(key, video, labels.questions, _split(members[FRAMES], video.frame_bytes))


def _split(packed: bytes, sizes: Sequence[int]) -> list[bytes]:
    if sum(sizes) != len(packed):
        raise ValueError(f"frame_bytes add up to {sum(sizes)}, {FRAMES} holds {len(packed)}")
    ends = np.cumsum(sizes)
    return [packed[end - size : end] for end, size in zip(ends, sizes, strict=True)]
