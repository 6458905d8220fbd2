"""The JSON beside the tars: each shard's sidecar, and the data set's manifest with its shards in order. Read without torch."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from videorouter.shards.errors import BadSidecar, MissingShard, MissingSidecar, OtherVersion
from videorouter.shards.schema import SCHEMA_VERSION, Manifest, ShardEntry, Sidecar
from videorouter.shards.schema_version_1 import manifest_from_version_1, sidecar_from_version_1
from videorouter.shards.storage import Storage
from videorouter.shards.writer import write_atomically

MANIFEST = "manifest.json"


def split_of(shard: str) -> str:
    """The split a shard's name states: `val-unseen` of `val-unseen-00003.tar`."""
    return Path(shard).stem.rpartition("-")[0]


def read_sidecar(storage: Storage, shard: str) -> Sidecar:
    """The sidecar of the tar named `shard`. Raises `MissingSidecar`, `BadSidecar` or `OtherVersion`."""
    name = f"{Path(shard).stem}.json"
    where = storage.at(name)
    content = storage.read(name)
    if content is None:
        raise MissingSidecar(f"{name}, which belongs to it, is missing", shard=storage.at(shard))
    found = _parse(content, where)
    if found.get("schema_version") == 1:
        return sidecar_from_version_1(found, storage, shard)
    _check_version(found, where)
    try:
        return Sidecar.model_validate(found)
    except ValidationError as error:
        raise BadSidecar(f"no sidecar of this format ({error})", shard=where) from error


def read_manifest(storage: Storage) -> Manifest | None:
    """The manifest of a finished data set, None where there is none. Raises `BadSidecar` or `OtherVersion`."""
    content = storage.read(MANIFEST)
    if content is None:
        return None
    where = storage.at(MANIFEST)
    found = _parse(content, where)
    if found.get("schema_version") == 1:
        return manifest_from_version_1(found, [_entry(storage, name) for name in shard_names(storage, None)], where)
    _check_version(found, where)
    try:
        return Manifest.model_validate(found)
    except ValidationError as error:
        raise BadSidecar(
            f"no manifest of this format ({error})", shard=where, remedy="run the builder again"
        ) from error


def finished_manifest(folder: Path) -> Manifest:
    """The manifest of a folder that must be finished. Raises `MissingShard` besides what `read_manifest` does."""
    manifest = read_manifest(Storage(folder))
    if manifest is None:
        raise MissingShard(
            f"{MANIFEST} is missing, the build did not finish", shard=folder, remedy="run the builder again"
        )
    return manifest


def shard_names(storage: Storage, manifest: Manifest | None) -> list[str]:
    """The tars of a data set in order: those of the manifest, or while there is none those that are finished."""
    if manifest is not None:
        return [shard.name for shard in manifest.shards]
    return [name for name in storage.names() if name.endswith(".tar") and not name.startswith(".") and split_of(name)]


def write_manifest(
    folder: Path,
    *,
    shards: Sequence[str],
    fingerprint: str,
    config: Mapping[str, Any],
    licences: Sequence[str],
    notes: Mapping[str, Any] | None = None,
) -> Manifest:
    """Declare a data set finished: list its shards with what their sidecars say. Atomic; the same folder, the same bytes."""
    storage = Storage(folder)
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        fingerprint=fingerprint,
        config=dict(config),
        shards=[_entry(storage, name) for name in shards],
        licences=sorted(licences),
        notes=dict(notes or {}),
    )
    write_atomically(folder / MANIFEST, manifest.model_dump_json(indent=2))
    return manifest


def _entry(storage: Storage, name: str) -> ShardEntry:
    sidecar = read_sidecar(storage, name)
    return ShardEntry(
        name=name,
        sha256=sidecar.sha256,
        bytes=sidecar.bytes,
        videos=len(sidecar.samples),
        questions=sidecar.questions,
    )


def _parse(content: bytes, where: str) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError as error:
        raise BadSidecar(f"not JSON ({error})", shard=where) from error
    if not isinstance(found, dict):
        raise BadSidecar("not a JSON object", shard=where)
    return found


def _check_version(found: Mapping[str, Any], where: str) -> None:
    if found.get("schema_version") != SCHEMA_VERSION:
        raise OtherVersion(
            f"schema version {found.get('schema_version')}, this release reads {SCHEMA_VERSION} and 1",
            shard=where,
            remedy="read it with the release that wrote it, or build it again",
        )
