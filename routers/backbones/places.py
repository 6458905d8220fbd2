"""Where the tensors of a checkpoint go in the model that transformers makes of it, and how they are stored again.

Published names are older than transformers 5, which renames tensors, and joins or splits some, while it loads them. Its own rules
decide here.
"""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor
from transformers import PreTrainedModel
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import (
    WeightConverter,
    WeightRenaming,
    rename_source_key,
    revert_weight_conversion,
)


@dataclass(frozen=True)
class Place:
    """A parameter of the model by `name`; `converted` where it is made from stored tensors (experts of a layer, joined)."""

    name: str
    converted: bool


@dataclass
class Places:
    """The rules for the model `empty`, on any device, whose parameters are the places there are."""

    empty: PreTrainedModel
    _renamings: list[WeightRenaming] = field(init=False)
    _converters: list[WeightConverter] = field(init=False)
    _names: dict[str, Tensor] = field(init=False)

    def __post_init__(self) -> None:
        rules = get_model_conversion_mapping(self.empty)
        self._renamings = [rule for rule in rules if isinstance(rule, WeightRenaming)]
        self._converters = [rule for rule in rules if isinstance(rule, WeightConverter)]
        self._names = self.empty.state_dict()

    def of(self, stored: str) -> Place:
        """Where the tensor stored as `stored` goes; a place that the model does not have is one that it does not read."""
        name, pattern = self._renamed(stored, self._renamings, self._converters)
        if name not in self._names and stored in self._names:
            name, pattern = self._renamed(stored, [], [])
        return Place(name, pattern is not None)

    def unconverted(self, stored: str) -> str:
        """The name of a stored tensor as it is called on its way, before anything is made from it."""
        return self._renamed(stored, self._renamings, [])[0]

    def stored_again(self, place: str, value: Tensor) -> dict[str, Tensor]:
        """What is stored for the converted parameter `place`: tensors by their `unconverted` names."""
        reverted: dict[str, Tensor] = revert_weight_conversion(self.empty, {place: value})
        return {self.unconverted(name): tensor for name, tensor in reverted.items()}

    def _renamed(self, name: str, renamings: Any, converters: Any) -> tuple[str, str | None]:
        return rename_source_key(name, renamings, converters, self.empty.base_model_prefix, self._names)
