"""Parameters that a device map has put into main memory or on disk: read, and replaced, where they are kept (ours)."""

from typing import Any

from torch import Tensor, nn


def parameter_value(model: nn.Module, name: str) -> Tensor:
    """The value of a parameter, wherever it is kept."""
    parameter = model.get_parameter(name)
    if not parameter.is_meta:
        return parameter.detach()
    kept, key = _kept(model, name)
    value: Tensor = kept[key]
    return value


def replace_parameter(model: nn.Module, name: str, value: Tensor) -> None:
    """Let a parameter be `value`, in its own dtype, where it is kept; on disk a file of the offload folder, the checkpoint never.

    Raises `ValueError` where it is kept on disk and there is no offload folder.
    """
    parameter = model.get_parameter(name)
    if not parameter.is_meta:
        parameter.data.copy_(value)
        return
    kept, key = _kept(model, name)
    if key in kept.state_dict:
        kept.state_dict[key].copy_(value)
        return
    if kept.save_folder is None:
        raise ValueError(
            f"{name} lies on disk by the device map and is to be changed: say with offload_folder where to keep it"
        )
    from accelerate.utils import offload_weight

    offload_weight(value.to(parameter.dtype).contiguous(), key, kept.save_folder, index=kept.index)


def _kept(model: nn.Module, name: str) -> tuple[Any, str]:
    """accelerate's store of offloaded weights, and the parameter's key in it."""
    path, _, leaf = name.rpartition(".")
    weights = getattr(model.get_submodule(path), "_hf_hook").weights_map  # noqa: B009 (no module has it by type)
    return weights.dataset, f"{weights.prefix}{leaf}"
