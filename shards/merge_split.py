"""New data sets from finished ones: several merged, or one split anew. A video never ends up in two splits."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from videorouter.shards.catalogue import Catalogue, Place, read_sample
from videorouter.shards.errors import DuplicateKey, FinishedShard
from videorouter.shards.schema import Manifest
from videorouter.shards.sidecar import MANIFEST, finished_manifest, read_sidecar, split_of, write_manifest
from videorouter.shards.storage import Storage
from videorouter.shards.writer import is_finished, shard_path, write_shard

_WRITTEN = {".tar", ".json", ".part"}
"""What an interrupted merge or split leaves in its folder."""


def merge(folders: Sequence[Path], out: Path, videos_per_shard: int = 8) -> Manifest:
    """One data set of all samples, split by split, in the order of the folders.

    Raises:
        DuplicateKey: where two folders hold the same key.
        ValueError: where a video is in different splits of them.
        ShardError: where one does not read, or `out` is finished.
    """
    sources = [_Source(folder) for folder in folders]
    split_of_key: dict[str, str] = {}
    for source in sources:
        for place in source.catalogue.places:
            if place.entry.key in split_of_key:
                where = source.catalogue.storage.at(place.shard)
                remedy = "leave one of the folders out"
                raise DuplicateKey("another folder has the key", shard=where, key=place.entry.key, remedy=remedy)
            split_of_key[place.entry.key] = split_of(place.shard)
    return _write(sources, split_of_key, out, videos_per_shard, {"merged": [s.manifest.fingerprint for s in sources]})


def split(folder: Path, out: Path, shares: Mapping[str, float], seed: int = 0, videos_per_shard: int = 8) -> Manifest:
    """The samples of `folder` in new splits, drawn by the hash of seed and video: a video added later moves no other.

    `shares` are positive weights by split. Samples of one video (one uri) go to one split. Raises as `merge` does.
    """
    if not shares or min(shares.values()) <= 0:
        raise ValueError(f"shares must be positive weights by split, such as train=9 val=1, not {dict(shares)}")
    if strange := [name for name in shares if not re.fullmatch(r"[A-Za-z0-9_-]+", name)]:
        raise ValueError(f"{strange[0]!r} is not a name of a split: use letters, digits, - and _")
    source = _Source(folder)
    chosen = {place.entry.key: _drawn(place.entry.uri, shares, seed) for place in source.catalogue.places}
    made = {"split": source.manifest.fingerprint, "shares": dict(shares), "seed": seed}
    return _write([source], chosen, out, videos_per_shard, made)


class _Source:
    """A finished data set that is read."""

    def __init__(self, folder: Path) -> None:
        self.manifest, self.catalogue = finished_manifest(folder), Catalogue(folder)


def _drawn(uri: str, shares: Mapping[str, float], seed: int) -> str:
    """A split with probability in proportion to its share."""
    point = int.from_bytes(hashlib.sha256(f"{seed} {uri}".encode()).digest()[:8]) / 2**64 * sum(shares.values())
    for name, weight in shares.items():
        point -= weight
        if point < 0:
            return name
    return name


def _write(
    sources: Sequence[_Source], splits: Mapping[str, str], out: Path, videos_per_shard: int, made: Mapping[str, Any]
) -> Manifest:
    if (out / MANIFEST).exists():
        raise FinishedShard("the folder is finished", shard=out, remedy="choose another --out or delete it")
    if not splits:
        raise ValueError("no sample was given: name at least one folder of shards")
    if videos_per_shard < 1:
        raise ValueError(f"videos_per_shard is {videos_per_shard}: give 1 or more")
    if out.is_dir() and (others := [path for path in out.iterdir() if path.suffix not in _WRITTEN]):
        raise ValueError(f"{out} holds other things, among them {min(others).name}: choose another --out, or empty it")
    _check_leakage(sources, splits)
    made = {**made, "videos_per_shard": videos_per_shard}
    fingerprint = hashlib.sha256(repr(made).encode()).hexdigest()
    names = []
    for name in sorted(set(splits.values())):
        places = list(_places(sources, name, splits))
        for start in range(0, len(places), videos_per_shard):
            some = places[start : start + videos_per_shard]
            path = shard_path(out, name, start // videos_per_shard)
            if is_finished(path):
                _check_same(path, fingerprint)
            else:
                write_shard(path, (read_sample(storage, place) for storage, place in some), fingerprint)
            names.append(path.name)
    licences = {licence for source in sources for licence in source.manifest.licences}
    return write_manifest(out, shards=names, fingerprint=fingerprint, config=made, licences=sorted(licences))


def _check_same(path: Path, fingerprint: str) -> None:
    if read_sidecar(Storage(path.parent), path.name).fingerprint != fingerprint:
        raise FinishedShard(
            "made from other folders or options", shard=path, remedy="choose another --out or delete it"
        )


def _places(sources: Sequence[_Source], name: str, splits: Mapping[str, str]) -> Iterator[tuple[Storage, Place]]:
    for source in sources:
        for place in source.catalogue.places:
            if splits[place.entry.key] == name:
                yield source.catalogue.storage, place


def _check_leakage(sources: Sequence[_Source], splits: Mapping[str, str]) -> None:
    seen: dict[str, str] = {}
    for source in sources:
        for place in source.catalogue.places:
            split = splits[place.entry.key]
            if seen.setdefault(place.entry.uri, split) != split:
                raise ValueError(
                    f"video {place.entry.uri} would be in splits {seen[place.entry.uri]} and {split}: leakage"
                )
