"""One sample: a video's frames as JPEG, where they came from, and all of its labelled questions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

import numpy as np
from pydantic import ValidationError

from videorouter.shards import jpeg
from videorouter.shards.errors import BadLabels, BadPicture
from videorouter.shards.schema import LabelledQuestion, Labels, VideoRecord

FRAMES, VIDEO, LABELS = "frames.mjpeg", "video.json", "labels.json"
MEMBERS = (FRAMES, VIDEO, LABELS)
"""Of every sample, in this order: readers that take the first samples' names for all find them everywhere."""


@dataclass(frozen=True)
class ShardSample:
    """A sample in memory. `jpegs` holds T pictures; `key` is unique over the data set; `shard` is where it was read."""

    key: str
    video: VideoRecord
    questions: list[LabelledQuestion]
    jpegs: list[bytes]
    shard: str = field(default="", compare=False)

    def frames(self, size: tuple[int, int] | None = None, into: np.ndarray | None = None) -> np.ndarray:
        """Decoded frames, uint8 `[T, H, W, 3]`, resized to `size`, (height, width), where given; written `into` an array of that
        shape where one is given. Raises `BadPicture`."""
        if into is None:
            into = np.empty((len(self.jpegs), *(size or (self.video.height, self.video.width)), 3), dtype=np.uint8)
        for number in range(len(self.jpegs)):
            into[number] = self.frame(number, size)
        return into

    def frame(self, number: int, size: tuple[int, int] | None = None) -> np.ndarray:
        """One decoded frame, uint8 `[H, W, 3]`, or of `size`. Raises `BadPicture`."""
        try:
            return jpeg.decode(self.jpegs[number], self.video.height, self.video.width, size)
        except ValueError as error:
            raise BadPicture(f"frame {number}: {error}", shard=self.shard, key=self.key) from error

    def check_frames(self) -> None:
        """Raise `BadPicture` where a frame is not a picture of the size its record states; nothing is decoded."""
        for number, data in enumerate(self.jpegs):
            try:
                jpeg.check(data, self.video.height, self.video.width)
            except ValueError as error:
                raise BadPicture(f"frame {number}: {error}", shard=self.shard, key=self.key) from error

    def members(self) -> dict[str, bytes]:
        """The tar members by name: JPEGs one after another, and two JSON files."""
        labels = Labels(questions=self.questions)
        return {
            FRAMES: b"".join(self.jpegs),
            VIDEO: self.video.model_dump_json().encode(),
            LABELS: labels.model_dump_json().encode(),
        }


def from_members(key: str, members: Mapping[str, bytes], shard: str = "") -> ShardSample:
    """Parse a sample's tar members, in full. Raises `BadLabels` where they do not fit the schema or each other."""
    questions = parse_labels(key, members[LABELS], shard)
    video = parse_record(key, members[VIDEO], shard)
    packed = members[FRAMES]
    if sum(video.frame_bytes) != len(packed):
        problem = f"frame_bytes add up to {sum(video.frame_bytes)}, {FRAMES} holds {len(packed)}"
        raise BadLabels(problem, shard=shard, key=key)
    for labelled in questions:
        if labelled.relevance and len(labelled.relevance.relevant) != len(video.indices):
            problem = (
                f"question {labelled.question.id} labels {len(labelled.relevance.relevant)} frames, "
                f"the sample holds {len(video.indices)}"
            )
            raise BadLabels(problem, shard=shard, key=key)
    return ShardSample(key, video, questions, _split(packed, video.frame_bytes), shard)


def parse_labels(key: str, content: bytes, shard: str = "") -> list[LabelledQuestion]:
    """The questions of a `labels.json`. Raises `BadLabels`."""
    try:
        return Labels.model_validate_json(content).questions
    except ValidationError as error:
        raise BadLabels(f"{LABELS} does not fit the schema ({error})", shard=shard, key=key) from error


def parse_record(key: str, content: bytes, shard: str = "") -> VideoRecord:
    """The content of a `video.json`. Raises `BadLabels`."""
    try:
        return VideoRecord.model_validate_json(content)
    except ValidationError as error:
        raise BadLabels(f"{VIDEO} does not fit the schema ({error})", shard=shard, key=key) from error


def _split(packed: bytes, sizes: Sequence[int]) -> list[bytes]:
    return [packed[start:end] for start, end in pairwise(accumulate(sizes, initial=0))]
