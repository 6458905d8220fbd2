"""A safetensors file as any other file of the user's: with the mode that the umask gives."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor


def save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write detached copies of `tensors` to `path`, contiguous and on the CPU.

    safetensors writes a temporary file of mode 0600 and renames it: colleagues could not read a shared router folder. A file that
    had the name before keeps its mode.
    """
    path.touch()
    mode = stat.S_IMODE(path.stat().st_mode)
    held = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(held, path, metadata={"format": "pt"})
    os.chmod(path, mode)
