"""Reading shards: any sample by its number, straight from the byte offsets in the sidecars."""

from collections.abc import Iterator
from pathlib import Path

from torch.utils.data import Dataset

from videorouter.shards.catalogue import Catalogue, read_labels, read_sample
from videorouter.shards.sample import ShardSample
from videorouter.shards.schema import LabelledQuestion


class ShardDataset(Dataset[ShardSample]):
    """The samples of one split (or of all), in the order of the manifest; one sample is one video.

    Opening reads the sidecars alone. Workers and other processes may read the same data set side by side.
    """

    def __init__(self, path: str | Path, split: str | None = None) -> None:
        """Open the folder or fsspec address `path`. Raises what `Catalogue` does, naming the file and the remedy."""
        self.catalogue = Catalogue(path, split)

    def __len__(self) -> int:
        return len(self.catalogue.places)

    def __iter__(self) -> Iterator[ShardSample]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> ShardSample:
        """Read one sample. Raises `MissingShard` or a `DamagedShard` with shard, key and remedy."""
        return read_sample(self.catalogue.storage, self.catalogue.places[index])

    def labels(self, index: int) -> list[LabelledQuestion]:
        """The questions of one sample; its frames are not read. Raises as reading the sample does."""
        return read_labels(self.catalogue.storage, self.catalogue.places[index])
