"""All samples of a data set: where each lies, from the sidecars alone, and reading it from there. Without torch.

A sample is read in one request and checked against what its sidecar says of it.
"""

import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path

from videorouter.shards.errors import (
    BadSidecar,
    ChangedShard,
    DuplicateKey,
    MissingShard,
    OversizedMember,
    TruncatedShard,
)
from videorouter.shards.sample import LABELS, MEMBERS, VIDEO, ShardSample, from_members, parse_labels, parse_record
from videorouter.shards.schema import LARGEST_MEMBER, LabelledQuestion, SampleEntry, Sidecar, VideoRecord
from videorouter.shards.sidecar import read_manifest, read_sidecar, shard_names, split_of
from videorouter.shards.storage import Storage


@dataclass(frozen=True)
class Place:
    """The tar's name and the sample's entry in its sidecar."""

    shard: str
    entry: SampleEntry


class Catalogue:
    """`places` of one split's samples (of all where None) in order; `shards` are the tars by name."""

    def __init__(self, path: str | Path, split: str | None = None) -> None:
        """Open the folder or fsspec address `path`.

        Raises:
            MissingShard, MissingSidecar, BadSidecar, OtherVersion, DuplicateKey: naming the file and the remedy.
        """
        self.storage = Storage(path)
        names = [
            name
            for name in shard_names(self.storage, read_manifest(self.storage))
            if split is None or split == split_of(name)
        ]
        if not names:
            what = f"no {split + ' ' if split else ''}shards"
            raise MissingShard(what, shard=path, remedy="build them with `videorouter data_builders`")
        self.shards: dict[str, Sidecar] = {}
        self.places: list[Place] = []
        seen: dict[str, str] = {}
        for name in names:
            sidecar = read_sidecar(self.storage, name)
            self.shards[name] = sidecar
            for place in places_in(self.storage, name, sidecar):
                key = place.entry.key
                if key in seen:
                    problem = f"the key is also in {seen[key]}"
                    raise DuplicateKey(problem, shard=self.storage.at(name), key=key, remedy="remove one of them")
                seen[key] = name
                self.places.append(place)

    @property
    def fingerprint(self) -> str:
        """Of all bytes of all tars, in order."""
        return hashlib.sha256(" ".join(sidecar.sha256 for sidecar in self.shards.values()).encode()).hexdigest()


def places_in(storage: Storage, shard: str, sidecar: Sidecar) -> list[Place]:
    """The samples of one tar. Nothing its sidecar says may lead outside the tar, or to memory no sample takes.

    Raises `BadSidecar` or `OversizedMember`.
    """
    where = storage.at(shard)
    for entry in sidecar.samples:
        if set(entry.members) != set(MEMBERS):
            problem = f"its members are {sorted(entry.members)}, not {sorted(MEMBERS)}"
            raise BadSidecar(problem, shard=where, key=entry.key)
        for member, (offset, size) in entry.members.items():
            if size > LARGEST_MEMBER:
                problem = f"{member} has {size} bytes, more than {LARGEST_MEMBER}"
                raise OversizedMember(problem, shard=where, key=entry.key)
            if offset < 0 or size < 0 or offset + size > sidecar.bytes:
                problem = f"{member} lies outside the {sidecar.bytes} bytes of the tar"
                raise BadSidecar(problem, shard=where, key=entry.key)
    return [Place(shard, entry) for entry in sidecar.samples]


def read_sample(storage: Storage, place: Place) -> ShardSample:
    """One sample in one request. Raises `MissingShard` or a `DamagedShard`."""
    spans = place.entry.members
    start = min(offset for offset, _ in spans.values())
    content = _read(storage, place, start, max(offset + size for offset, size in spans.values()) - start)
    members = {name: content[offset - start : offset - start + size] for name, (offset, size) in spans.items()}
    crc = 0
    for name in MEMBERS:
        crc = zlib.crc32(members[name], crc)
    where = storage.at(place.shard)
    if crc != place.entry.crc32:
        raise ChangedShard("its bytes are not the ones that were written", shard=where, key=place.entry.key)
    return from_members(place.entry.key, members, where)


def read_labels(storage: Storage, place: Place) -> list[LabelledQuestion]:
    """The questions of one sample; its frames are not read. Raises as `read_sample` does."""
    content = _read(storage, place, *place.entry.members[LABELS])
    return parse_labels(place.entry.key, content, storage.at(place.shard))


def read_record(storage: Storage, place: Place) -> VideoRecord:
    """Where one sample's frames came from. Raises as `read_sample` does."""
    content = _read(storage, place, *place.entry.members[VIDEO])
    return parse_record(place.entry.key, content, storage.at(place.shard))


def _read(storage: Storage, place: Place, start: int, size: int) -> bytes:
    where = storage.at(place.shard)
    try:
        content = storage.read_range(place.shard, start, size)
    except FileNotFoundError as error:
        raise MissingShard("there is a sidecar but no tar", shard=where, key=place.entry.key) from error
    if len(content) != size:
        problem = f"{len(content)} bytes from {start} on, where {size} were written"
        raise TruncatedShard(problem, shard=where, key=place.entry.key)
    return content
