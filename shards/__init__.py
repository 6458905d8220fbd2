"""The on-disk format of labelled videos: schema, writer, reader, verification. Plain webdataset tars with guarantees."""

from typing import TYPE_CHECKING, Any

from shards.sample import ShardSample
from shards.schema import FrameRelevance, LabelledQuestion, PolicyLabel, VideoQuestion, VideoRecord

if TYPE_CHECKING:
    from shards.reader import ShardDataset

__all__ = [
    "FrameRelevance",
    "LabelledQuestion",
    "PolicyLabel",
    "ShardDataset",
    "ShardSample",
    "VideoQuestion",
    "VideoRecord",
]


def __getattr__(name: str) -> Any:
    # ShardDataset is a torch Dataset; whoever only reads questions should not wait for torch.
    if name == "ShardDataset":
        from shards.reader import ShardDataset

        return ShardDataset
    raise AttributeError(f"module 'shards' has no attribute {name!r}")
