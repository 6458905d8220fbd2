"""A safetensors file written tensor by tensor, each made when its turn comes: no more than one is held (ours)."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from videorouter.routers.backbones.tensor_ranges import NAME_OF


@dataclass(frozen=True)
class Entry:
    """A tensor of known dtype and shape that `make` gives when its turn comes."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    make: Callable[[], Tensor]

    @classmethod
    def of(cls, tensor: Tensor) -> "Entry":
        """A tensor that is there already."""
        return cls(tensor.dtype, tuple(tensor.shape), lambda: tensor)

    @property
    def bytes(self) -> int:
        return self.dtype.itemsize * int(torch.Size(self.shape).numel())


def write_tensors(
    path: Path,
    entries: Mapping[str, Entry],
    metadata: Mapping[str, str],
    written: Callable[[int], None] = lambda count: None,
) -> None:
    """Write `entries`, sorted by name, to the new file `path`, and have it on disk; `written` is told the bytes of each.

    Raises `OSError` where the disk does not take it.
    """
    names = sorted(entries)
    with path.open("wb") as file:
        file.write(_header(entries, names, metadata))
        for name in names:
            file.write(_content(name, entries[name]))
            written(entries[name].bytes)
        file.flush()
        os.fsync(file.fileno())


def _header(entries: Mapping[str, Entry], names: list[str], metadata: Mapping[str, str]) -> bytes:
    content: dict[str, Any] = {"__metadata__": {"format": "pt", **metadata}}
    offset = 0
    for name in names:
        entry = entries[name]
        end = offset + entry.bytes
        content[name] = {"dtype": NAME_OF[entry.dtype], "shape": list(entry.shape), "data_offsets": [offset, end]}
        offset = end
    written = json.dumps(content).encode()
    written += b" " * (-len(written) % 8)
    return len(written).to_bytes(8, "little") + written


def _content(name: str, entry: Entry) -> memoryview:
    tensor = entry.make().detach().cpu().contiguous()
    assert (tensor.dtype, tuple(tensor.shape)) == (entry.dtype, entry.shape), f"{name} is not as it was announced"
    content: Any = tensor.flatten().view(torch.uint8).numpy() if tensor.numel() else b""
    return memoryview(content)
