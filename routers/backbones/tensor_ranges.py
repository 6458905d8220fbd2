"""Chosen tensors out of one safetensors file, each read from its own byte range; every byte read is counted.

`safetensors.safe_open` maps the file into memory: what the kernel reads ahead then cannot be counted, and on network file
systems it is much. The format is eight bytes of length, a JSON header, and the tensors (github.com/huggingface/safetensors).
"""

import hashlib
import json
import math
from collections.abc import Collection, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import torch
from torch import Tensor

DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
}  # fmt: skip

NAME_OF = {dtype: name for name, dtype in DTYPES.items()}
"""What safetensors calls a dtype."""

_CHUNK = 16 * 2**20


class TensorRanges:
    """An open safetensors file. `header` says of each tensor its dtype, shape and place, `metadata` holds the file's own words.

    `bytes_read` grows as it is read.
    """

    def __init__(self, path: Path) -> None:
        """Open `path` and read its header. Raises `ValueError` for a file that is not safetensors or is cut off."""
        self.path = path
        self.bytes_read = 0
        self._file = path.open("rb", buffering=0)  # a buffer would read beyond what is asked
        try:
            self.header = self._read_header(path.stat().st_size)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def read(self, names: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        """The tensors `names`, in the file's order. Raises `ValueError` where the file lacks one or holds it damaged."""
        absent = sorted(set(names) - set(self.header))
        if absent:
            raise ValueError(f"{self.path} lacks the tensor {absent[0]}, which its index places there")
        for name in sorted(names, key=lambda name: self.header[name]["data_offsets"]):
            yield name, self._tensor(name, self.header[name])

    def sha256(self) -> Iterator[tuple[str, str]]:
        """Every tensor's name and the sha256 of its bytes, in the file's order; 16 MiB are held at a time.

        Raises `ValueError` where the file ends too early.
        """
        buffer = memoryview(bytearray(_CHUNK))
        for name in sorted(self.header, key=lambda name: self.header[name]["data_offsets"]):
            start, end = self.header[name]["data_offsets"]
            digest = hashlib.sha256()
            for offset in range(start, end, _CHUNK):
                part = buffer[: min(_CHUNK, end - offset)]
                self._fill(self._tensors_from + offset, part)
                digest.update(part)
            yield name, digest.hexdigest()

    def pieces(self, name: str, size: int = 65_536) -> Iterator[bytes]:
        """The bytes of a tensor, at most `size` at a time, doubling: who stops early has read little. Raises `ValueError`."""
        start, end = self.header[name]["data_offsets"]
        while start < end:
            content = bytearray(min(size, end - start))
            self._fill(self._tensors_from + start, memoryview(content))
            yield bytes(content)
            start, size = start + len(content), min(2 * size, _CHUNK)

    def part(self, name: str, elements: range) -> Tensor:
        """Consecutive `elements` of a tensor, counted as if it were flat: `[len(elements)]`. Raises `ValueError` as `read`."""
        entry = self.header[name]
        dtype = DTYPES.get(entry["dtype"])
        if dtype is None:
            raise ValueError(f"{self.path} holds {name} as {entry['dtype']}, which this version cannot read")
        start, end = entry["data_offsets"]
        if end - start != math.prod(entry["shape"]) * dtype.itemsize:
            raise ValueError(
                f"{self.path} gives {name} {end - start} bytes, which its shape {entry['shape']} contradicts"
            )
        content = torch.empty(len(elements) * dtype.itemsize, dtype=torch.uint8)
        self._fill(self._tensors_from + start + elements.start * dtype.itemsize, memoryview(cast(Any, content.numpy())))
        return content.view(dtype)

    def _tensor(self, name: str, entry: dict[str, Any]) -> Tensor:
        return self.part(name, range(math.prod(entry["shape"]))).reshape(entry["shape"])

    def _read_header(self, size: int) -> dict[str, Any]:
        length = bytearray(8)
        self._fill(0, memoryview(length))
        count = int.from_bytes(length, "little")
        if bytes(length) == b"version ":
            raise ValueError(
                f"{self.path} is a pointer of git-lfs: run `git lfs pull` in its folder, or download it again"
            )
        if count > size - 8:
            raise ValueError(f"{self.path} is not a safetensors file, or only its beginning: download it again")
        content = bytearray(count)
        self._fill(8, memoryview(content))
        self._tensors_from = 8 + count
        try:
            header = json.loads(content)
        except ValueError as error:
            raise ValueError(f"{self.path} is not a safetensors file: {error}") from error
        self.metadata: dict[str, str] = header.pop("__metadata__", {})
        return header

    def _fill(self, offset: int, target: memoryview) -> None:
        """One call may read less than it was asked for: Linux gives at most two gigabytes."""
        self._file.seek(offset)
        filled = 0
        while filled < len(target):
            count = self._file.readinto(target[filled:])
            if not count:
                raise ValueError(f"{self.path} ends at byte {offset + filled}, too early: download it again")
            filled += count
            self.bytes_read += count
