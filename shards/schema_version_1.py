"""Data sets of schema version 1 are read: what their sidecars and manifest lack is found in the tars and the folder."""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from videorouter.shards.errors import BadSidecar, TruncatedShard
from videorouter.shards.sample import LABELS, MEMBERS, VIDEO
from videorouter.shards.schema import SCHEMA_VERSION, Labels, Manifest, SampleEntry, ShardEntry, Sidecar, VideoRecord
from videorouter.shards.storage import Storage

BLOCK = 512
"""Bytes a tar's contents are padded to."""
END = 2 * BLOCK
"""Zeros that end a tar."""
RECORD = 20 * BLOCK
"""A tar's length is a multiple of this."""


def sidecar_from_version_1(found: Mapping[str, Any], storage: Storage, shard: str) -> Sidecar:
    """The sidecar as it would be written today. Raises `BadSidecar` or `TruncatedShard`."""
    where = storage.at(shard)
    entries = []
    last = 0
    try:
        for key in found["keys"]:
            members = {name: (int(start), int(size)) for name, (start, size) in found["members"][key].items()}
            crc = 0
            contents = {}
            for name in MEMBERS:
                start, size = members[name]
                contents[name] = storage.read_range(shard, start, size)
                if len(contents[name]) < size:
                    raise TruncatedShard(f"ends within {name}", shard=where, key=key)
                crc = zlib.crc32(contents[name], crc)
                last = max(last, start + size)
            video = VideoRecord.model_validate_json(contents[VIDEO])
            entries.append(
                SampleEntry(
                    key=key,
                    uri=video.uri,
                    frames=len(video.indices),
                    questions=len(Labels.model_validate_json(contents[LABELS]).questions),
                    crc32=crc,
                    members=members,
                )
            )
        return Sidecar(
            schema_version=SCHEMA_VERSION,
            fingerprint=found["fingerprint"],
            sha256=found["sha256"],
            bytes=_length(last),
            samples=entries,
        )
    except (KeyError, TypeError, ValidationError) as error:
        raise BadSidecar(f"no sidecar of version 1 ({error})", shard=where) from error


def manifest_from_version_1(found: Mapping[str, Any], shards: Sequence[ShardEntry], where: str) -> Manifest:
    """The manifest as it would be written today, of the `shards` in its folder. Raises `BadSidecar`."""
    try:
        return Manifest(
            schema_version=SCHEMA_VERSION,
            fingerprint=found["fingerprint"],
            config=found["config"],
            shards=list(shards),
            licences=found["licences"],
            notes=found.get("notes", {}),
        )
    except (KeyError, ValidationError) as error:
        raise BadSidecar(f"no manifest of version 1 ({error})", shard=where) from error


def _length(last: int) -> int:
    """Of a tar whose last content ends at `last`."""
    padded = -(-last // BLOCK) * BLOCK + END
    return -(-padded // RECORD) * RECORD
