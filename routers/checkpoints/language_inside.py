"""What a router folder holds for the language model, in words and numbers (ours)."""

from dataclasses import dataclass
from math import prod
from pathlib import Path

from videorouter.routers.backbones.language_weights import ADAPTER, WHOLE, Mode, adapter_settings
from videorouter.routers.backbones.tensor_ranges import TensorRanges


@dataclass(frozen=True)
class LanguageInside:
    """`parameters` in `dtype`, as safetensors names it; `rank` and `alpha` of adapters."""

    mode: Mode
    parameters: int
    dtype: str
    rank: int | None = None
    alpha: int | None = None

    def __str__(self) -> str:
        size = f"{self.parameters / 1e6:,.1f} million parameters, {self.dtype}"
        if self.mode == "lora":
            return f"`{ADAPTER}/`: a LoRA adapter of the language model, rank {self.rank}, alpha {self.alpha} ({size})"
        return f"`{WHOLE}/`: the layers of the language model, whole ({size})"


def language_inside(folder: Path) -> LanguageInside | None:
    """Of a router folder, from headers alone; None where it holds nothing. Raises `ValueError` for damaged files."""
    lora = adapter_settings(folder)
    if lora is None and not (folder / WHOLE).is_dir():
        return None
    parameters, dtypes = 0, set()
    for path in sorted((folder / (WHOLE if lora is None else ADAPTER)).glob("*.safetensors")):
        with TensorRanges(path) as ranges:
            parameters += sum(prod(entry["shape"]) for entry in ranges.header.values())
            dtypes |= {entry["dtype"] for entry in ranges.header.values()}
    told = ", ".join(sorted(dtypes))
    return (
        LanguageInside("full", parameters, told)
        if lora is None
        else LanguageInside("lora", parameters, told, lora.rank, lora.alpha)
    )
