"""Weights that a training begins with in place of fresh ones: of a checkpoint or a router folder, or the mean of several (ours)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from videorouter.routers.backbones.language_weights import (
    ADAPTER,
    adapter_tensors,
    holds_language,
    whole_tensors,
)
from videorouter.routers.checkpoints.base_identity import BaseModel
from videorouter.routers.checkpoints.router_folder import WEIGHTS, read_config
from videorouter.routers.checkpoints.trained_file import RECORD, STATE, read_record, read_tensors

_LANGUAGE = "language."


def base_of(path: Path) -> BaseModel:
    """The base model that the weights in a checkpoint or router folder belong to. Raises as their readers."""
    return read_config(path).base if path.is_dir() else BaseModel(**read_record(path)[RECORD]["base"])


def initial_weights(paths: Sequence[Path], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """For every name in `wanted` the mean over `paths`, in float32.

    Raises `ValueError` where one of them lacks a tensor, or has it in another shape, beside what their readers raise.
    """
    total: dict[str, Tensor] = {}
    for path in paths:
        held = _held(path)
        unlike = [name for name, tensor in wanted.items() if name not in held or held[name].shape != tensor.shape]
        if unlike:
            raise ValueError(
                f"--init-from {path} does not hold what is trained here: {len(unlike)} of {len(wanted)} tensors are missing or of "
                f"another shape, the first {unlike[0]}"
            )
        for name in wanted:
            part = held[name].float() / len(paths)
            total[name] = total[name] + part if name in total else part
    return total


def _held(path: Path) -> dict[str, Tensor]:
    if not path.is_dir():
        return read_tensors(path, STATE)
    tensors = load_file(path / WEIGHTS)
    if holds_language(path):
        language = adapter_tensors(path) if (path / ADAPTER).is_dir() else whole_tensors(path)
        tensors |= {f"{_LANGUAGE}{name}": tensor for name, tensor in language.items()}
    return tensors
