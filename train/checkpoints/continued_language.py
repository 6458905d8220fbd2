"""A stage 3 that starts from a router folder begins with the language model that the folder holds (ours)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from videorouter.routers.backbones.language_weights import (
    LanguageWeights,
    LoraSettings,
    Mode,
    adapter_settings,
    adapter_tensors,
)


def continued_language(folder: Path, backbone: Any, mode: Mode, lora: Mapping[str, Any]) -> LanguageWeights:
    """What is trained of the language model, as far as the router folder has brought it; zero adapters or the base's layers where
    it holds none.

    Adapters continue from the folder's own; whole layers from the folder's layers, or from the base's with its adapter merged;
    adapters over whole layers begin at zero. `lora` has entries of `LoraSettings`, None for those not asked for: the folder's
    then. Raises `ValueError` for other settings than the folder's adapter has.
    """
    held = adapter_settings(folder) if mode == "lora" else None
    settings = lora_settings(folder, held, lora)
    if held is None:
        backbone.use_language_of(folder)
        return LanguageWeights.of(backbone.model, mode, settings)
    weights = LanguageWeights.of(backbone.model, mode, settings)
    tensors, saved = weights.tensors(), adapter_tensors(folder)
    if saved.keys() != tensors.keys():
        odd = sorted(saved.keys() ^ tensors.keys())
        raise ValueError(f"the adapter in {folder} does not fit its base in {len(odd)} tensors, the first {odd[0]}")
    for name, tensor in tensors.items():
        tensor.data.copy_(saved[name])
    return weights


def lora_settings(folder: Path | str, held: LoraSettings | None, asked: Mapping[str, Any]) -> LoraSettings:
    """The settings of adapters: as asked, else those `held` by the router folder, else the usual ones.

    Raises `ValueError` where adapters that continue are asked for with another rank, alpha or targets.
    """
    said = {name: value for name, value in asked.items() if value is not None}
    if held is None:
        return LoraSettings(**said)
    unlike = [
        name for name in ("rank", "alpha", "targets") if said.get(name, getattr(held, name)) != getattr(held, name)
    ]
    if unlike:
        told = ", ".join(f"lora_{name} {getattr(held, name)!r}" for name in unlike)
        raise ValueError(
            f"{folder} holds an adapter of {told}, and this training continues it: leave these options out, or train with "
            "language_model: full, which starts from the adapter merged"
        )
    return LoraSettings(**(vars(held) | said))
