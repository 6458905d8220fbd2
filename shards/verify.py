"""Does a folder of shards hold what it says? Manifest, sidecars, tar headers, hashes, keys, pictures, labels."""

import hashlib
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from videorouter.shards.catalogue import places_in, read_sample
from videorouter.shards.errors import (
    ChangedShard,
    DuplicateKey,
    ForeignMember,
    MissingShard,
    OversizedMember,
    ShardError,
    TruncatedShard,
)
from videorouter.shards.schema import LARGEST_MEMBER, Manifest, Sidecar
from videorouter.shards.sidecar import read_manifest, read_sidecar, shard_names
from videorouter.shards.storage import Storage


@dataclass
class Verdict:
    """What was looked at and what is wrong; `finished` where there is a manifest."""

    finished: bool = False
    shards: int = 0
    samples: int = 0
    problems: list[ShardError] = field(default_factory=list)


def verify(folder: Path) -> Verdict:
    """Read every byte of a data set's folder; a build that goes on, as far as it has come."""
    verdict = Verdict()
    storage = Storage(folder)
    manifest: Manifest | None = None
    try:
        manifest = read_manifest(storage)
    except ShardError as error:
        verdict.problems.append(error)
    verdict.finished = manifest is not None
    listed, present = shard_names(storage, manifest), shard_names(storage, None)
    if not listed:
        remedy = "build them with `videorouter data_builders`"
        verdict.problems.append(MissingShard("no shards", shard=folder, remedy=remedy))
    for name in sorted(set(present) - set(listed)):
        problem = "the manifest does not list it"
        verdict.problems.append(ForeignMember(problem, shard=storage.at(name), remedy="run the builder again"))
    hashes = {shard.name: shard.sha256 for shard in manifest.shards} if manifest else {}
    seen: dict[str, str] = {}
    for name in sorted({*listed, *present}):
        verdict.shards += 1
        try:
            if name not in present:
                raise MissingShard("the manifest lists it, but it is not there", shard=storage.at(name))
            sidecar = read_sidecar(storage, name)
            verdict.samples += len(sidecar.samples)
            verdict.problems += _key_problems(storage.at(name), sidecar, seen)
            verdict.problems += _shard_problems(storage, folder / name, sidecar, hashes.get(name, sidecar.sha256))
        except ShardError as error:
            verdict.problems.append(error)
    return verdict


def _key_problems(shard: str, sidecar: Sidecar, seen: dict[str, str]) -> Iterator[ShardError]:
    for entry in sidecar.samples:
        if entry.key in seen:
            problem = f"the key is also in {seen[entry.key]}"
            yield DuplicateKey(problem, shard=shard, key=entry.key, remedy="remove one of them")
        seen[entry.key] = shard


def _shard_problems(storage: Storage, path: Path, sidecar: Sidecar, sha256: str) -> Iterator[ShardError]:
    """What is wrong with one tar, the most exact names first; the hash catches what nothing else explains."""
    found = False
    for problem in (*_header_problems(path, sidecar), *_sample_problems(storage, path.name, sidecar)):
        found = True
        yield problem
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not found and not digest == sidecar.sha256 == sha256:
        yield ChangedShard(
            f"has sha256 {digest[:12]}, its sidecar says {sidecar.sha256[:12]}, the manifest {sha256[:12]}", shard=path
        )


def _header_problems(path: Path, sidecar: Sidecar) -> Iterator[ShardError]:
    """The tar as any other program reads it must be the one the sidecar describes."""
    expected = {
        f"{entry.key}.{name}": (entry.key, span) for entry in sidecar.samples for name, span in entry.members.items()
    }
    if path.stat().st_size < sidecar.bytes:
        yield TruncatedShard(f"{path.stat().st_size} bytes, {sidecar.bytes} were written", shard=path)
        return
    try:
        with tarfile.open(path) as tar:
            for member in tar:
                key, span = expected.pop(member.name, (None, None))
                if member.size > LARGEST_MEMBER:
                    problem = f"member {member.name} claims {member.size} bytes, more than {LARGEST_MEMBER}"
                    yield OversizedMember(problem, shard=path, key=key)
                elif key is None:
                    yield ForeignMember(f"member {member.name!r} belongs to no sample", shard=path)
                elif not member.isreg():
                    yield ForeignMember(f"member {member.name} is no plain file", shard=path, key=key)
                elif span != (member.offset_data, member.size):
                    problem = f"member {member.name} lies at {member.offset_data}, its sidecar says {span}"
                    yield ChangedShard(problem, shard=path, key=key)
    except (tarfile.TarError, OSError, ValueError) as error:
        yield ChangedShard(f"not a tar file ({error})", shard=path)
        return
    for name, (key, _) in expected.items():
        yield ChangedShard(f"the tar does not list {name}", shard=path, key=key)


def _sample_problems(storage: Storage, shard: str, sidecar: Sidecar) -> Iterator[ShardError]:
    for place in places_in(storage, shard, sidecar):
        try:
            read_sample(storage, place).check_frames()
        except ShardError as error:
            yield error
