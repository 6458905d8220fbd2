"""Does a folder of shards hold what it says? Hashes, keys, schema, one label a frame."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from shards.errors import ShardError
from shards.reader import ShardDataset
from shards.sidecar import read_manifest, read_sidecar


def problems(folder: Path) -> Iterator[str]:
    """Every problem of a data set's folder, as one line each; nothing where it is sound."""
    try:
        read_manifest(folder)
    except ShardError as error:
        yield str(error)
    shards = sorted(folder.glob("*-*.tar"))
    if not shards:
        yield f"no shards in {folder}"
    seen: dict[str, Path] = {}
    for shard in shards:
        try:
            sidecar = read_sidecar(shard)
        except ShardError as error:
            yield str(error)
            continue
        with shard.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != sidecar.sha256:
            yield f"{shard} has sha256 {digest[:12]}, its sidecar says {sidecar.sha256[:12]}: delete both and build it again"
            continue
        for key in sidecar.keys:
            if key in seen:
                yield f"key {key} of {shard} is also in {seen[key]}"
            seen[key] = shard
    yield from _label_problems(folder)


def _label_problems(folder: Path) -> Iterator[str]:
    try:
        dataset = ShardDataset(folder)
    except ShardError:
        return
    for index in range(len(dataset)):
        try:
            sample = dataset[index]
        except ShardError as error:
            yield str(error)
            continue
        for labelled in sample.questions:
            if labelled.relevance and len(labelled.relevance.relevant) != len(sample.jpegs):
                yield (
                    f"question {labelled.question.id} of sample {sample.key} labels "
                    f"{len(labelled.relevance.relevant)} frames, the sample holds {len(sample.jpegs)}"
                )
