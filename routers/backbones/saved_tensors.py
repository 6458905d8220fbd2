"""A safetensors file as any other file of the user's: with the mode that the umask gives."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from safetensors.torch import save_file
from torch import Tensor

FORMAT: Final = {"format": "pt"}
"""What transformers and peft ask of a file's metadata."""


def save_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write `tensors` to `path`, contiguous and from the CPU. Its mode is as of `give_usual_mode`."""
    held = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(held, path, metadata)
    give_usual_mode(path)


def give_usual_mode(path: Path) -> None:
    """Give a file the mode of one that is opened for writing.

    safetensors writes a temporary file of mode 0600 and renames it: colleagues could not read a shared folder.
    """
    beside = path.with_name(f".{path.name}.mode")
    beside.touch()
    mode = stat.S_IMODE(beside.stat().st_mode)
    beside.unlink()
    os.chmod(path, mode)
