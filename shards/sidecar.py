"""The JSON beside the tars: each shard's sidecar and the data set's manifest. Read without torch."""

from pathlib import Path

from pydantic import ValidationError

from shards.errors import DamagedShard, MissingShard
from shards.schema import SCHEMA_VERSION, Manifest, Sidecar
from shards.writer import MANIFEST


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


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a finished data set. Raises `MissingShard` or `DamagedShard` with the remedy."""
    path = folder / MANIFEST
    if not path.is_file():
        raise MissingShard(f"{path} is missing: the build did not finish; run the builder again")
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise DamagedShard(f"{path} is not a manifest of this format ({error}): run the builder again") from error
