"""The elements of a trained tensor that this rank of ZeRO holds in float32, and their moments: read and set in place (ours).

ZeRO-1 and 2 lay all parameters of a group end to end and cut that once for each rank, so that a rank holds whole tensors and a
piece of one or two; ZeRO-3 cuts every tensor into equal parts. Both are consecutive elements of the flat tensor.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Fragment:
    """`elements` of the flat `tensor`, which all in all has `shape`."""

    tensor: Any
    elements: range
    shape: tuple[int, ...]

    @classmethod
    def of(cls, tensor: Tensor, rank: int) -> "Fragment | None":
        """This rank's; None where it holds nothing of the tensor."""
        held: Any = tensor
        if (part := getattr(held, "ds_tensor", None)) is not None:
            shape = tuple(held.ds_shape)
            count, first = math.prod(shape), part.numel() * rank  # padded, so that all ranks hold equally much
            elements = range(min(first, count), min(first + part.numel(), count))
        elif held._hp_mapping is not None:
            shape, address = tuple(tensor.shape), held._hp_mapping.lp_fragment_address
            elements = range(address.start, address.start + address.numel)
        else:
            return None
        return cls(tensor, elements, shape) if elements else None

    def read(self, moment: str | None = None) -> Tensor:
        """The float32 master, or the moment of that name: `[len(elements)]`."""
        from deepspeed.utils import safe_get_local_fp32_param, safe_get_local_optimizer_state

        if not self._cut:
            return torch.as_tensor(self.tensor._hp_mapping.get_hp_fragment(moment).data).float()
        held = safe_get_local_optimizer_state(self.tensor, moment) if moment else safe_get_local_fp32_param(self.tensor)
        return held.flatten()[: len(self.elements)].float()

    def set(self, value: Tensor, moment: str | None = None) -> None:
        """Set what `read` gives; of ZeRO-3 also this rank's part of the copy that computes, which no rank holds whole."""
        from deepspeed.utils import safe_set_local_fp32_param, safe_set_local_optimizer_state

        if not self._cut:
            self.tensor._hp_mapping.get_hp_fragment(moment).data.copy_(value)
            return
        part: Any = self.tensor.ds_tensor
        padded = functional.pad(value, (0, part.numel() - value.numel()))
        if moment:
            safe_set_local_optimizer_state(self.tensor, padded, moment)
        else:
            safe_set_local_fp32_param(self.tensor, padded)
            part.data.copy_(padded.reshape(part.shape))

    @property
    def _cut(self) -> bool:
        """Whether no rank holds the whole tensor: ZeRO-3."""
        return hasattr(self.tensor, "ds_tensor")
