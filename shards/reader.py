"""Reading shards: any sample by its place, straight from the byte offsets in the sidecars."""

from pathlib import Path

from pydantic import ValidationError
from torch.utils.data import Dataset

from shards.errors import DamagedShard, MissingShard
from shards.sample import ShardSample, from_members
from shards.schema import SCHEMA_VERSION, Sidecar
from shards.writer import MANIFEST


class ShardDataset(Dataset[ShardSample]):
    """The samples of one split (or of all), in shard order; one sample is one video."""

    def __init__(self, path: str | Path, split: str | None = None) -> None:
        """Read the sidecars in folder `path`. Raises `MissingShard` or `DamagedShard` naming the file and the remedy."""
        self.folder = Path(path)
        sidecars = sorted(file for file in self.folder.glob(f"{split or '*'}-*.json") if file.name != MANIFEST)
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


def read_sidecar(shard: Path) -> Sidecar:
    """The sidecar of a shard. Raises `MissingShard` or `DamagedShard` with the remedy."""
    path = shard.with_suffix(".json")
    if not shard.is_file() or not path.is_file():
        raise MissingShard(
            f"{shard} and {path.name} belong together, one is missing: delete the other and build it again"
        )
    try:
        sidecar = Sidecar.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise DamagedShard(
            f"{path} is not a sidecar of this format ({error}): delete the shard and build it again"
        ) from error
    if sidecar.schema_version != SCHEMA_VERSION:
        raise DamagedShard(f"{path} has schema version {sidecar.schema_version}, this release reads {SCHEMA_VERSION}")
    return sidecar
