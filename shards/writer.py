"""Writing shards: whole or not at all, the same bytes for the same samples, each with a sidecar.

The sidecar takes its place first and the tar last: a tar that stands under its name is whole and has its sidecar. A sidecar
alone is a shard that was not finished, and is written again.
"""

import hashlib
import io
import os
import re
import secrets
import tarfile
import zlib
from collections.abc import Iterable
from pathlib import Path

from videorouter.shards.errors import BadName, DuplicateKey, FinishedShard, OversizedMember
from videorouter.shards.sample import ShardSample
from videorouter.shards.schema import KEY_PATTERN, LARGEST_MEMBER, SCHEMA_VERSION, SampleEntry, Sidecar


def shard_path(folder: Path, split: str, index: int) -> Path:
    """`{split}-{index:05d}.tar`: webdataset's and datasets' way to name shards of a split."""
    return folder / f"{split}-{index:05d}.tar"


def is_finished(path: Path) -> bool:
    """A shard is finished once its tar stands under its name: it comes last."""
    return path.is_file() and path.with_suffix(".json").is_file()


def write_shard(path: Path, samples: Iterable[ShardSample], fingerprint: str) -> Sidecar:
    """Write one shard and its sidecar atomically.

    Raises `FinishedShard` where it is finished already, `BadName`, `DuplicateKey` or `OversizedMember` for samples that no
    shard may hold.
    """
    if is_finished(path):
        raise FinishedShard("a finished shard is never overwritten", shard=path, remedy="delete it to build it again")
    path.parent.mkdir(parents=True, exist_ok=True)
    entries: dict[str, SampleEntry] = {}
    unfinished = unfinished_name(path)
    try:
        with unfinished.open("wb") as file:
            with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
                for sample in samples:
                    if sample.key in entries:
                        raise DuplicateKey("the key occurs twice", shard=path, key=sample.key, remedy="rename a video")
                    entries[sample.key] = _add(tar, sample, path)
            file.flush()
            os.fsync(file.fileno())
        with unfinished.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        sidecar = Sidecar(
            schema_version=SCHEMA_VERSION,
            fingerprint=fingerprint,
            sha256=digest,
            bytes=unfinished.stat().st_size,
            samples=list(entries.values()),
        )
        write_atomically(path.with_suffix(".json"), sidecar.model_dump_json())
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    _take_place(unfinished, path)
    return sidecar


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that a reader sees the old or the new one, never a part; of several writers the last one stays."""
    unfinished = unfinished_name(path)
    try:
        with unfinished.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        _take_place(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def unfinished_name(path: Path) -> Path:
    """A name beside `path` that no other writer has: hidden, and with an ending that no reader asks for."""
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")


def remove_unfinished(folder: Path) -> None:
    """Remove what killed writers left anywhere in `folder`; only for who knows that nobody writes there."""
    for path in folder.rglob(".*.part"):
        path.unlink(missing_ok=True)


def _take_place(unfinished: Path, path: Path) -> None:
    os.replace(unfinished, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the name, too, outlives a power cut
    finally:
        os.close(folder)


def _add(tar: tarfile.TarFile, sample: ShardSample, path: Path) -> SampleEntry:
    """Add a sample's members with fixed metadata."""
    if not re.fullmatch(KEY_PATTERN, sample.key):
        raise BadName(
            f"the key {sample.key!r} must be a plain name of at most 80 letters, digits, dashes and underscores",
            shard=path,
            remedy="webdataset splits at the first dot, and a slash could lead out of a folder",
        )
    members: dict[str, tuple[int, int]] = {}
    crc = 0
    for name, data in sample.members().items():
        if len(data) > LARGEST_MEMBER:
            problem = f"{name} has {len(data)} bytes, more than {LARGEST_MEMBER}"
            raise OversizedMember(problem, shard=path, key=sample.key, remedy="sample fewer or smaller frames")
        info = tarfile.TarInfo(f"{sample.key}.{name}")
        info.size = len(data)
        info.mode = 0o644
        tar.addfile(info, io.BytesIO(data))
        padded = -(-len(data) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
        members[name] = (tar.offset - padded, len(data))
        crc = zlib.crc32(data, crc)
    return SampleEntry(
        key=sample.key,
        uri=sample.video.uri,
        frames=len(sample.jpegs),
        questions=len(sample.questions),
        crc32=crc,
        members=members,
    )
