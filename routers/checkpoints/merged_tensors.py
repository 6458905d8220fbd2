"""The tensors of a base with a router folder's language model in it, under their published names, made one by one (ours)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Unpack

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForImageTextToText

from videorouter.routers.backbones.language_weights import HEAD, Change, check_complete, language_changes
from videorouter.routers.backbones.loading import loading_from
from videorouter.routers.backbones.loading_options import HubSource
from videorouter.routers.backbones.places import Places
from videorouter.routers.backbones.tensor_ranges import DTYPES, TensorRanges
from videorouter.routers.backbones.tying import has_own_head, tied_by_tensors
from videorouter.routers.backbones.weight_files import weight_files
from videorouter.routers.checkpoints.base_identity import CheckpointError
from videorouter.routers.checkpoints.tensor_file import Entry

_JOINED = 2
"""Converted parameters remembered: a layer's experts are two, and their parts are asked for alternately."""


@dataclass(frozen=True)
class MergedTensors:
    """`entries` by published name, in the base's order; `changed` of them are not the base's.

    `tied` where the head is the embedding; it is then not stored again.
    """

    entries: dict[str, Entry]
    changed: int
    tied: bool


def merged_tensors(base: str, folder: Path, dtype: torch.dtype, **asked: Unpack[HubSource]) -> MergedTensors:
    """All tensors of `base`, a folder or Hub id, with the language model of the router folder `folder`, as `dtype` where floating.

    Only headers are read here. Raises `CheckpointError` where the folder's tensors do not fit the base, and `ValueError` for
    damaged files.
    """
    with loading_from(base):
        stored = _Stored.of(base, asked)
        config = AutoConfig.from_pretrained(base, trust_remote_code=False, **asked)
        with torch.device("meta"):
            empty: Any = AutoModelForImageTextToText.from_config(config)
        tied = bool(tied_by_tensors(base, **asked))
    changes, places = language_changes(folder), Places(empty)
    tied = tied and HEAD not in changes
    place_of = {name: places.of(name) for name in stored.held}
    _check_fit(base, folder, changes, {place.name for place in place_of.values()}, empty.state_dict())
    check_complete(folder, empty, changes)
    joined = _Joined(places, changes)
    left_out = {HEAD} if tied and has_own_head(stored.held) else set()
    entries, changed = {}, 0
    for name, place in place_of.items():
        if place.name in left_out:
            continue
        kind, shape = stored.kind(name)
        change = changes.get(place.name)
        make = partial(stored.read, name)
        if change is not None and place.converted:
            make = partial(joined.part, place.name, places.unconverted(name))
        elif change is not None:
            make = partial(change.applied, make)
        changed += change is not None
        target = dtype if kind.is_floating_point else kind
        entries[name] = Entry(target, shape, partial(_cast, name, make, target))
    return MergedTensors(entries, changed, tied)


@dataclass(frozen=True)
class _Stored:
    """The tensors of a checkpoint: file, safetensors' word for the dtype, and shape of each, by name."""

    held: dict[str, tuple[Path, str, tuple[int, ...]]]

    @classmethod
    def of(cls, source: str, asked: HubSource) -> "_Stored":
        files = weight_files(source, **asked)
        headers: dict[str, tuple[Path, dict[str, Any]]] = {}
        for file in sorted(set(files.file_of.values())):
            with TensorRanges(path := files.path(file)) as ranges:
                headers[file] = path, ranges.header
        held = {}
        for name, file in files.file_of.items():
            path, header = headers[file]
            if name not in header:
                raise ValueError(f"{path} lacks the tensor {name}, which its index places there")
            held[name] = path, str(header[name]["dtype"]), tuple(header[name]["shape"])
        return cls(held)

    def kind(self, name: str) -> tuple[torch.dtype, tuple[int, ...]]:
        path, word, shape = self.held[name]
        if word not in DTYPES:
            raise ValueError(f"{path} holds {name} as {word}, which this version cannot read")
        return DTYPES[word], shape

    def read(self, name: str) -> Tensor:
        with TensorRanges(self.held[name][0]) as ranges:
            ((_, tensor),) = ranges.read([name])
        return tensor


@dataclass
class _Joined:
    """Changed parameters that are stored in parts (a layer's experts), the last ones remembered."""

    places: Places
    changes: Mapping[str, Change]
    _last: dict[str, dict[str, Tensor]] = field(default_factory=dict)

    def part(self, place: str, unconverted: str) -> Tensor:
        if place not in self._last:
            while len(self._last) >= _JOINED:
                del self._last[next(iter(self._last))]
            self._last[place] = self.places.stored_again(place, self.changes[place].applied(_not_read))
        return self._last[place][unconverted]


def _not_read() -> Tensor:
    raise AssertionError("an adapter beside a parameter that is stored in parts")


def _check_fit(
    base: str, folder: Path, changes: Mapping[str, Change], stored: set[str], model: Mapping[str, Tensor]
) -> None:
    for name, change in changes.items():
        if name not in stored or name not in model or tuple(model[name].shape) != change.shape:
            raise CheckpointError(
                f"{folder} holds {name} {change.shape}, which the base {base} has no place for: export again, over the base "
                "that stage 3 was trained with"
            )


def _cast(name: str, make: Callable[[], Tensor], dtype: torch.dtype) -> Tensor:
    tensor = make()
    cast = tensor.to(dtype)
    if dtype == torch.float16 and not bool(cast.isfinite().all()) and bool(tensor.isfinite().all()):
        raise ValueError(f"{name} holds weights beyond float16's range: take --dtype bfloat16")
    return cast
