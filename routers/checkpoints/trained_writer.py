"""Writes what training keeps, whole or not at all: by one process, or by all ranks at once, each the parts that it holds (ours).

Tensors are made and written one after another, no more than one is held. A checkpoint takes its name when all of it is on disk.
That of several ranks is a folder of parts, which takes its name when all are, and then a small file, which has the checkpoint's
own name: one file can be replaced at a stroke, a folder cannot. A kill leaves the checkpoint before.
"""

import errno
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from videorouter.routers.backbones.tensor_ranges import NAME_OF
from videorouter.routers.checkpoints.tensor_file import Entry, write_tensors
from videorouter.routers.checkpoints.trained_file import PARTS, RECORD, STARTS, Parts

FOLDER_OF_PARTS: Final = ".parts"
"""What the name of the folder has after the checkpoint's."""

SECONDS_TO_APPEAR: Final = 30.0

T = TypeVar("T")


class Ranks(Protocol):
    """How the processes of a training talk to each other."""

    @property
    def rank(self) -> int:
        """The number of this one."""
        ...

    def all_told(self, told: T) -> list[T]:
        """What each rank told, by rank; all ranks together."""
        ...


@dataclass(frozen=True)
class Part:
    """A rank's consecutive elements of a whole tensor, as `[elements]`; `start` is the first one's place in the flat tensor."""

    content: Entry
    start: int
    shape: tuple[int, ...]

    def whole(self) -> Entry:
        """Of a rank that holds all of the tensor: with its shape."""
        return Entry(self.content.dtype, self.shape, lambda: self.content.make().reshape(self.shape))


def write_trained(path: Path, entries: Mapping[str, Entry], record: Mapping[str, Any]) -> None:
    """Write a checkpoint of one process. Raises `OSError` where the disk does not take it: what had the name is untouched then."""
    with _explained(path):
        _write_named(path, entries, {RECORD: json.dumps(record)})
    _remove_parts(path, keep=None)


def write_in_parts(
    path: Path, parts: Mapping[str, Part], entries: Mapping[str, Entry], record: Mapping[str, Any], ranks: Ranks
) -> None:
    """Write a checkpoint of all ranks together: `parts` are this rank's, `entries` and `record` are the first rank's.

    Raises `OSError` on every rank where one of them cannot write, or where ranks do not see one folder.
    """
    token = ranks.all_told(uuid.uuid4().hex[:12])[0]
    folder = path.with_name(path.name + FOLDER_OF_PARTS) / token
    unfinished = folder.with_name(f".{token}.unfinished")
    first = ranks.rank == 0
    try:
        sizes = _together(ranks, path, lambda: _write_part(unfinished / _name(ranks.rank), parts))
        held = {name: (NAME_OF[part.content.dtype], list(part.shape)) for name, part in parts.items()}
        tensors = {name: described for told in ranks.all_told(held) for name, described in told.items()}
        files = {_name(rank): size for rank, size in enumerate(sizes)}
        index = Parts(folder=str(folder.relative_to(path.parent)), files=files, tensors=tensors)

        def finish() -> None:
            _wait_for(unfinished, files)
            sync(unfinished)
            os.replace(unfinished, folder)
            sync(folder.parent)
            _write_named(path, entries, {RECORD: json.dumps(record), PARTS: index.model_dump_json()})
            _remove_parts(path, keep=token)

        _together(ranks, path, lambda: finish() if first else None)
    finally:
        if first:
            shutil.rmtree(unfinished, ignore_errors=True)


def remove_trained(path: Path) -> None:
    """Delete a checkpoint that is no longer wanted, its parts with it."""
    path.unlink(missing_ok=True)
    _remove_parts(path, keep=None)


def sync(folder: Path) -> None:
    """Have the names in `folder` on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _together(ranks: Ranks, path: Path, work: Callable[[], T]) -> list[T]:
    """What `work` gave on each rank. Raises `OSError` on all of them where one raised it."""
    failed, done = None, None
    try:
        with _explained(path):
            done = work()
    except OSError as error:
        failed = error.errno, error.strerror
    told = ranks.all_told((failed, done))
    for rank, (failure, _) in enumerate(told):
        if failure is not None:
            raise OSError(failure[0], f"rank {rank}: {failure[1]}")
    return [found for _, found in told]  # type: ignore[misc]


def _name(rank: int) -> str:
    return f"rank-{rank:05}.safetensors"


def _write_part(path: Path, parts: Mapping[str, Part]) -> int:
    """The bytes of the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    starts = {name: part.start for name, part in parts.items()}
    write_tensors(path, {name: part.content for name, part in parts.items()}, {STARTS: json.dumps(starts)})
    return path.stat().st_size


def _wait_for(folder: Path, files: Mapping[str, int]) -> None:
    """Network file systems show what other machines wrote a little later. Raises `OSError` where they do not."""
    until = time.monotonic() + SECONDS_TO_APPEAR
    while absent := [name for name, size in files.items() if not _has(folder / name, size)]:
        if time.monotonic() > until:
            raise OSError(errno.ENOENT, f"{absent[0]} is not among the parts: --out must lie where all nodes see it")
        time.sleep(0.1)


def _has(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _write_named(path: Path, entries: Mapping[str, Entry], metadata: Mapping[str, str]) -> None:
    """One file that takes its name when it is complete and on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        write_tensors(unfinished, entries, metadata)
        os.replace(unfinished, path)
        sync(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def _remove_parts(path: Path, keep: str | None) -> None:
    """Delete the parts of earlier checkpoints of this name, and what a kill left of them."""
    folder = path.with_name(path.name + FOLDER_OF_PARTS)
    if keep is None:
        shutil.rmtree(folder, ignore_errors=True)
        return
    for other in (one for one in folder.iterdir() if one.name != keep):
        shutil.rmtree(other, ignore_errors=True)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OSError(
            error.errno,
            f"{path} could not be saved ({error.strerror}): make room or choose another --out; what was complete is intact",
        ) from error
