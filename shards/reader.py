"""Reading shards: any sample by its place, straight from the byte offsets in the sidecars."""

from pathlib import Path

from torch.utils.data import Dataset

from shards.errors import DamagedShard, MissingShard
from shards.sample import ShardSample, from_members
from shards.schema import Sidecar
from shards.sidecar import read_sidecar


class ShardDataset(Dataset[ShardSample]):
    """The samples of one split (or of all), in shard order; one sample is one video."""

    def __init__(self, path: str | Path, split: str | None = None) -> None:
        """Read the sidecars in folder `path`. Raises `MissingShard` or `DamagedShard` naming the file and the remedy."""
        self.folder = Path(path)
        sidecars = sorted(file for file in self.folder.glob("*-*.json") if split in (None, file.stem.rsplit("-", 1)[0]))
        if not sidecars:
            raise MissingShard(
                f"no {split + ' ' if split else ''}shards in {self.folder}: build them with `python -m data_builders`"
            )
        self._places: list[tuple[Path, str]] = []
        self._sidecars: dict[Path, Sidecar] = {}
        for file in sidecars:
            shard = file.with_suffix(".tar")
            self._sidecars[shard] = read_sidecar(shard)
            self._places += [(shard, key) for key in self._sidecars[shard].keys]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> ShardSample:
        shard, key = self._places[index]
        members: dict[str, bytes] = {}
        with shard.open("rb") as file:
            for name, (offset, size) in self._sidecars[shard].members[key].items():
                file.seek(offset)
                members[name] = file.read(size)
        try:
            return from_members(key, members)
        except (ValueError, KeyError) as error:
            raise DamagedShard(
                f"sample {key} of {shard} does not read ({error}): check with `python -m shards verify {self.folder}`, "
                "delete the damaged shard and its .json, and run the builder again"
            ) from error
