"""What is asked of loading is checked before anything is read: options there are, devices there are, modules there are (ours)."""

from typing import Any, Final, get_args

import torch
from torch import nn

from videorouter.routers.backbones.loading_options import FrameLabel, Loading

SPREADS: Final = ("auto", "balanced", "balanced_low_0", "sequential")
"""Device maps that are worked out."""


def check_options(loading: Loading) -> None:
    """Raise `ValueError` for an option that there is not, a value that it cannot have, or one that would not be read."""
    unknown = sorted(loading.keys() - Loading.__annotations__.keys())
    if unknown:
        raise ValueError(f"loading has no option {', '.join(unknown)}: there are {', '.join(Loading.__annotations__)}")
    label, dtype = loading.get("frame_label"), loading.get("dtype")
    if label not in (None, *get_args(FrameLabel)):
        raise ValueError(f"frame_label {label!r}: there are {' and '.join(get_args(FrameLabel))}")
    if isinstance(dtype, str) and dtype != "auto" and not isinstance(getattr(torch, dtype, None), torch.dtype):
        raise ValueError(f"dtype {dtype!r}: torch has none of that name; take float32, bfloat16 or float16")
    check_device(loading.get("device"))
    spread = loading.get("device_map")
    for name in ("max_memory", "offload_folder"):
        if loading.get(name) is not None and spread is None:
            raise ValueError(
                f"{name} is for a model that is spread over devices: give device_map, such as auto, as well"
            )
    if isinstance(spread, dict):
        for device in spread.values():
            if device != "disk":
                check_device(device)
    elif spread is not None and spread not in SPREADS:
        check_device(spread, f", or one of {', '.join(SPREADS)}")
    for device, most in (loading.get("max_memory") or {}).items():
        check_device(device)
        _check_size(device, most)


def check_device(device: str | int | torch.device | None, more: str = "") -> None:
    """Raise `ValueError` for a device that torch does not know, or that is not there; None is the usual one, a number a GPU's."""
    if device is None:
        return
    try:
        known = torch.device(f"cuda:{device}" if isinstance(device, int) else device)
    except (RuntimeError, TypeError):
        raise ValueError(f"device {device}: torch knows no such device; take cpu, cuda or cuda:N{more}") from None
    if known.type == "meta":
        raise ValueError(f"device {device}: nothing is computed there; take cpu, cuda or cuda:N{more}")
    if known.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"device {device}: torch {torch.__version__} sees no CUDA device; take cpu, or repair the installation"
        )
    if known.type == "cuda" and (known.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device {device}: there are {torch.cuda.device_count()} CUDA devices, counted from 0")


def _check_size(device: Any, most: Any) -> None:
    from accelerate.utils.modeling import convert_file_size_to_int

    try:
        convert_file_size_to_int(most)
    except ValueError:
        raise ValueError(f"max_memory of {device} is {most!r}: give bytes, or a size such as 20GiB") from None


def check_device_map(model_class: Any, config: Any, device_map: dict[str, Any], path: str) -> None:
    """Raise `ValueError` for a module that the model has not, a part of another one in the map, or weights that are in none.

    No weight is read.
    """
    with torch.device("meta"):
        model: nn.Module = model_class(config)
    modules = {name for name, _ in model.named_modules()}
    weights = [name for name, _ in (*model.named_parameters(), *model.named_buffers())]
    names = sorted(device_map)
    for name in names:
        if name not in modules and name not in weights:
            raise ValueError(
                f"device_map names {name!r}, which {path} has not: its modules are such as {_some(modules)}"
            )
    for name in names:
        inner = [other for other in names if other != name and (not name or other.startswith(f"{name}."))]
        if inner:
            raise ValueError(f"device_map names {name!r} and its part {inner[0]!r}: name the parts of it alone")
    homeless = [
        weight for weight in weights if not any(not n or weight == n or weight.startswith(f"{n}.") for n in names)
    ]
    if homeless:
        raise ValueError(f"device_map has no device for {homeless[0]} and {len(homeless) - 1} more: name every module")


def _some(modules: set[str]) -> str:
    return ", ".join(name for name in sorted(modules, key=lambda name: (name.count("."), name)) if name.count(".") == 1)
