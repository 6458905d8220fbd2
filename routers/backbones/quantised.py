"""Quantised bases: loaded by transformers and the package that made them, or refused where layers are read as they are (ours)."""

from typing import Any


def quantisation_of(config: Any, asked: Any = None) -> str | None:
    """By what method the weights of a checkpoint's `config` are quantised, or are to be while loading; None where they are not."""
    held = getattr(config, "quantization_config", None) or asked
    if held is None:
        return None
    entries = held if isinstance(held, dict) else held.to_dict()
    method = entries.get("quant_method")
    if method is None:
        return "bitsandbytes" if entries.get("load_in_4bit") or entries.get("load_in_8bit") else "an unknown method"
    return str(getattr(method, "value", method))


def quantisation(asked: Any) -> Any:
    """transformers' object for the entries of a quantisation config; an object stays as it is. Raises `ValueError`."""
    if not isinstance(asked, dict):
        return asked
    from transformers.quantizers.auto import AutoQuantizationConfig

    try:
        return AutoQuantizationConfig.from_dict(dict(asked))
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"quantization_config {asked} is none of transformers': {' '.join(str(error).split())}"
        ) from error


def check_not_quantised(path: str, method: str | None) -> None:
    """Raise `ValueError` where the first layers alone are to be read of a base whose weights are quantised by `method`."""
    if method is not None:
        raise ValueError(
            f"{path} is quantised ({method}): routers learn from layers as they are; train on the checkpoint it was made of, "
            "and answer with either"
        )
