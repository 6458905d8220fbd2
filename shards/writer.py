"""Writing shards: whole or not at all, the same bytes for the same samples, each with a sidecar."""

import hashlib
import io
import os
import tarfile
from collections.abc import Iterable
from pathlib import Path

from shards.errors import FinishedShard
from shards.sample import ShardSample
from shards.schema import SCHEMA_VERSION, Manifest, Sidecar

MANIFEST = "manifest.json"


def shard_path(folder: Path, split: str, index: int) -> Path:
    """`{split}-{index:05d}.tar`: webdataset's and datasets' way to name shards of a split."""
    return folder / f"{split}-{index:05d}.tar"


def is_finished(path: Path) -> bool:
    """A shard is finished once its sidecar stands beside it: the sidecar is written last."""
    return path.is_file() and path.with_suffix(".json").is_file()


def write_shard(path: Path, samples: Iterable[ShardSample], fingerprint: str) -> Sidecar:
    """Write one shard and its sidecar atomically.

    Raises `FinishedShard` where it is finished already, `ValueError` for a key that is repeated or not a plain name.
    """
    if is_finished(path):
        raise FinishedShard(f"{path} is finished: a shard is never overwritten; delete it to build it again")
    path.parent.mkdir(parents=True, exist_ok=True)
    members: dict[str, dict[str, tuple[int, int]]] = {}
    questions = 0
    unfinished = path.with_name(f".{path.name}.part")
    try:
        with unfinished.open("wb") as file:
            with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
                for sample in samples:
                    _check_key(sample.key, members)
                    members[sample.key] = {
                        name: _add(tar, f"{sample.key}.{name}", data) for name, data in sample.members().items()
                    }
                    questions += len(sample.questions)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    with unfinished.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    sidecar = Sidecar(
        schema_version=SCHEMA_VERSION,
        fingerprint=fingerprint,
        sha256=digest,
        count=len(members),
        questions=questions,
        keys=list(members),
        members=members,
    )
    os.replace(unfinished, path)
    write_atomically(path.with_suffix(".json"), sidecar.model_dump_json())
    return sidecar


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest.json` atomically."""
    write_atomically(folder / MANIFEST, manifest.model_dump_json(indent=2))


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that a reader sees the old or the new one, never a part."""
    unfinished = path.with_name(f".{path.name}.part")
    with unfinished.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, path)


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> tuple[int, int]:
    """Add one member with fixed metadata; (offset, bytes) of its content."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    info.mode = 0o644
    tar.addfile(info, io.BytesIO(data))
    padded = -(-len(data) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
    return tar.offset - padded, len(data)


def _check_key(key: str, seen: dict[str, dict[str, tuple[int, int]]]) -> None:
    if not key or set(key) & set("./\\"):
        raise ValueError(
            f"sample key {key!r} must be a plain name without dots and slashes: webdataset splits at the dot"
        )
    if key in seen:
        raise ValueError(f"sample key {key!r} occurs twice: keys are unique over a data set")
