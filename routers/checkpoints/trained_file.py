"""What training keeps: one safetensors file of named tensors, everything else as JSON in its header (ours).

No pickle is ever written or read. Tensors are made and written one after another, so that a whole model sharded over ranks is never
held at once; the file takes its name when it is complete and on disk. Names: `state/NAME` for what was trained,
`optimizer/NAME/KEY` for its moments, `rng/RANK/WHICH` for random number generators.
"""

import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

from torch import Tensor

from videorouter.routers.backbones.tensor_ranges import TensorRanges
from videorouter.routers.checkpoints.tensor_file import Entry, write_tensors

RECORD: Final = "videorouter"
STATE, OPTIMIZER, RNG = "state/", "optimizer/", "rng/"


class TrainedFileError(ValueError):
    """A file that is none of ours, or is damaged; the message says which and what to do."""


def write_trained(path: Path, entries: Mapping[str, Entry], record: Mapping[str, Any], *, write: bool = True) -> None:
    """Write a file whole or not at all; with `write` False only make the tensors, as ranks must together.

    Raises `OSError` where the disk does not take it: what had the name before is untouched then.
    """
    if not write:
        for name in sorted(entries):
            entries[name].make()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        write_tensors(unfinished, entries, {RECORD: json.dumps(record)})
        os.replace(unfinished, path)
        _sync(path.parent)
    except OSError as error:
        raise OSError(
            error.errno,
            f"{path} could not be saved ({error.strerror}): make room or choose another --out; what was complete is intact",
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)


def read_record(path: Path) -> dict[str, Any]:
    """The JSON of a file. Raises `TrainedFileError`."""
    with _opened(path) as ranges:
        return _record(path, ranges)


def read_tensors(path: Path, prefix: str, names: Collection[str] | None = None) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, by what follows it; of these only `names` where given.

    Raises `TrainedFileError` for a file that is none of ours, is damaged, or lacks one.
    """
    with _opened(path) as ranges:
        _record(path, ranges)
        there = {name.removeprefix(prefix): name for name in ranges.header if name.startswith(prefix)}
        wanted = there if names is None else {name: prefix + name for name in names}
        try:
            found = dict(ranges.read(list(wanted.values())))
        except ValueError as error:
            raise TrainedFileError(str(error)) from error
        return {name: found[full] for name, full in wanted.items()}


def _opened(path: Path) -> TensorRanges:
    if not path.is_file():
        raise TrainedFileError(f"no checkpoint file at {path}")
    try:
        return TensorRanges(path)
    except ValueError as error:
        raise TrainedFileError(f"{error}; or it was not written by `videorouter train fit`") from error


def _record(path: Path, ranges: TensorRanges) -> dict[str, Any]:
    if RECORD not in ranges.metadata:
        raise TrainedFileError(f"{path} was not written by `videorouter train fit`: it lacks the {RECORD!r} record")
    return json.loads(ranges.metadata[RECORD])


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
