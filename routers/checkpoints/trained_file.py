"""What training keeps: named tensors, and everything else as JSON in the header of a safetensors file (ours).

Nothing is pickled. Names: `state/NAME` for what was trained, `optimizer/NAME/KEY` for its moments, `rng/RANK/WHICH` for random
number generators. One process writes one file. Ranks that share the tensors of one training write a file each, into a folder
beside a small file that has the checkpoint's name and says which part of which tensor lies where. Both are read here, by
ranges: a tensor, or a part of one, is read from its own bytes when it is asked for.
"""

import json
import math
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import torch
from pydantic import BaseModel, ValidationError
from torch import Tensor

from videorouter.routers.backbones.tensor_ranges import DTYPES, TensorRanges

RECORD: Final = "videorouter"
PARTS: Final = "videorouter_parts"
STARTS: Final = "videorouter_starts"
STATE, OPTIMIZER, RNG = "state/", "optimizer/", "rng/"


class TrainedFileError(ValueError):
    """A checkpoint that is none of ours, is damaged or not whole; the message says which and what to do."""


class Parts(BaseModel):
    """Where the tensors lie that ranks share: files by name with their bytes, in `folder` beside the checkpoint.

    `tensors` are the dtype, as safetensors calls it, and the shape of each whole one.
    """

    folder: str
    files: dict[str, int]
    tensors: dict[str, tuple[str, list[int]]]


class TrainedFile:
    """An open checkpoint. `bytes_read` grows as it is read."""

    def __init__(self, path: Path) -> None:
        """Open `path` and read its header, and those of its parts. Raises `TrainedFileError`."""
        if not path.is_file():
            raise TrainedFileError(f"no checkpoint file at {path}")
        self.path = path
        self._main = _opened(path, "or it was not written by `videorouter train fit`")
        self._ranks: list[TensorRanges] = []
        try:
            self.record, self._parts = self._read_metadata()
            self._ranks = [self._opened_part(name, size) for name, size in self._parts.files.items()]
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close all of its files."""
        for file in (self._main, *self._ranks):
            file.close()

    @property
    def bytes_read(self) -> int:
        """Of all of its files, headers included."""
        return sum(file.bytes_read for file in (self._main, *self._ranks))

    def names(self, prefix: str) -> list[str]:
        """The names of its tensors that begin so, whole."""
        return [name for name in (*self._main.header, *self._parts.tensors) if name.startswith(prefix)]

    def shape(self, name: str) -> tuple[int, ...]:
        """Of a tensor. Raises `TrainedFileError` where it is not there."""
        return tuple(self._described(name)[1])

    def tensor(self, name: str) -> Tensor:
        """A whole tensor. Raises `TrainedFileError` where it is not there or damaged."""
        shape = self.shape(name)
        return self.part(name, range(math.prod(shape))).reshape(shape)

    def part(self, name: str, elements: range) -> Tensor:
        """Consecutive `elements` of a tensor, counted as if it were flat: `[len(elements)]`. Raises `TrainedFileError`."""
        dtype, _ = self._described(name)
        try:
            if name in self._main.header:
                return self._main.part(name, elements)
            return self._gathered(name, elements, DTYPES[dtype])
        except ValueError as error:
            raise TrainedFileError(str(error)) from error

    def _gathered(self, name: str, elements: range, dtype: torch.dtype) -> Tensor:
        """Elements that may lie in the files of several ranks."""
        content, filled = torch.empty(len(elements), dtype=dtype), 0
        for file, held in self._holders.get(name, []):
            wanted = range(max(elements.start, held.start), min(elements.stop, held.stop))
            if wanted:
                found = file.part(name, range(wanted.start - held.start, wanted.stop - held.start))
                content[wanted.start - elements.start : wanted.stop - elements.start] = found
                filled += len(wanted)
        if filled != len(elements):
            raise ValueError(f"{self.path}: its parts hold {filled} of {len(elements)} elements of {name}")
        return content

    @cached_property
    def _holders(self) -> Mapping[str, list[tuple[TensorRanges, range]]]:
        """By tensor the files that hold elements of it, and which ones."""
        found: dict[str, list[tuple[TensorRanges, range]]] = {}
        for file in self._ranks:
            for name, start in json.loads(file.metadata[STARTS]).items():
                count = math.prod(file.header[name]["shape"])
                found.setdefault(name, []).append((file, range(start, start + count)))
        return found

    def _described(self, name: str) -> tuple[str, list[int]]:
        if (entry := self._main.header.get(name)) is not None:
            return entry["dtype"], entry["shape"]
        if (there := self._parts.tensors.get(name)) is None:
            raise TrainedFileError(f"{self.path} lacks the tensor {name}")
        return there

    def _read_metadata(self) -> tuple[dict[str, Any], Parts]:
        told = self._main.metadata
        if RECORD not in told:
            raise TrainedFileError(
                f"{self.path} was not written by `videorouter train fit`: it lacks the {RECORD!r} record"
            )
        try:
            parts = Parts.model_validate_json(told.get(PARTS) or '{"folder": "", "files": {}, "tensors": {}}')
            return json.loads(told[RECORD]), parts
        except (ValidationError, ValueError) as error:
            raise TrainedFileError(f"{self.path} is damaged: {error}") from error

    def _opened_part(self, name: str, size: int) -> TensorRanges:
        path = self.path.parent / self._parts.folder / name
        if not path.is_file():
            raise TrainedFileError(
                f"{self.path} was written in {len(self._parts.files)} parts, and {path} is not there: a checkpoint is moved "
                f"or copied together with the folder {Path(self._parts.folder).parts[0]} beside it"
            )
        if (there := path.stat().st_size) != size:
            raise TrainedFileError(
                f"{path}, a part of {self.path}, has {there} bytes in place of {size}: copy it again"
            )
        return _opened(path, f"it is a part of {self.path}")


class OnDisk(Mapping[str, Tensor]):
    """Tensors of an open checkpoint by what follows `prefix` in their names, each read when it is asked for, and not kept."""

    def __init__(self, file: TrainedFile, prefix: str) -> None:
        self._file, self._prefix = file, prefix
        self._names = {name.removeprefix(prefix): name for name in file.names(prefix)}

    def __getitem__(self, name: str) -> Tensor:
        return self._file.tensor(self._names[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def read_record(path: Path) -> dict[str, Any]:
    """The JSON of a checkpoint. Raises `TrainedFileError`."""
    with TrainedFile(path) as file:
        return file.record


def read_tensors(path: Path, prefix: str, names: Collection[str] | None = None) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, by what follows it; of these only `names` where given.

    Raises `TrainedFileError` for a checkpoint that is none of ours, is damaged, or lacks one.
    """
    with TrainedFile(path) as file:
        if names is None:
            return dict(OnDisk(file, prefix))
        return {name: file.tensor(prefix + name) for name in names}


def _opened(path: Path, otherwise: str) -> TensorRanges:
    try:
        return TensorRanges(path)
    except ValueError as error:
        raise TrainedFileError(f"{error}; {otherwise}") from error
