"""Frozen features, kept after their first computation: in host memory, or on disk for whole data sets and all ranks (ours).

On disk every start of every rank appends to a file of its own, and to a list of what lies where: nothing is locked, and what a kill
cut off is computed again. Ranks see what others kept when `refresh` is called. Features are kept as they are, in float32, so that
a training with the cache is the one without it.
"""

import json
import logging
import uuid
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

_log = logging.getLogger(__name__)

Key = str | tuple[str, str | int]
"""A sample's key and a question; or a question, or that and in which of its wordings."""


class FeatureCache:
    """Features by key. This one keeps nothing."""

    def known(self, keys: Sequence[Key]) -> bool:
        """Whether all of them are kept."""
        return False

    def read(self, keys: Sequence[Key]) -> list[Tensor] | None:
        """Those kept under all `keys`; None where one is not, or no longer reads."""
        return None

    def keep(self, keys: Sequence[Key], features: Tensor) -> None:
        """Keep `features`, first dimension as `keys`."""

    def refresh(self) -> None:
        """Look for what other processes kept."""


class MemoryCache(FeatureCache):
    """In this process."""

    def __init__(self) -> None:
        self._kept: dict[Key, Tensor] = {}

    def known(self, keys: Sequence[Key]) -> bool:
        return all(key in self._kept for key in keys)

    def read(self, keys: Sequence[Key]) -> list[Tensor] | None:
        return [self._kept[key] for key in keys] if self.known(keys) else None

    def keep(self, keys: Sequence[Key], features: Tensor) -> None:
        self._kept.update(zip(keys, features.cpu(), strict=True))


@dataclass(frozen=True)
class _Place:
    """Where features lie, their shape, and the CRC of their bytes."""

    file: Path
    start: int
    shape: tuple[int, ...]
    crc: int


class DiskCache(FeatureCache):
    """In `folder`, under a name made of all that features follow from: other features are never taken for these."""

    def __init__(self, folder: Path, follow_from: Mapping[str, Any]) -> None:
        """Open the cache. Raises `OSError` where the folder cannot be made."""
        told = json.dumps(follow_from, sort_keys=True)
        self.folder = folder / sha256(told.encode()).hexdigest()[:16]
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "features-of.json").write_text(told)
        self._own = self.folder / f"{uuid.uuid4().hex[:12]}.bin"
        self._places: dict[Key, _Place] = {}
        self._listed: dict[Path, int] = {}
        self._full = False
        self.refresh()

    def known(self, keys: Sequence[Key]) -> bool:
        return all(key in self._places for key in keys)

    def read(self, keys: Sequence[Key]) -> list[Tensor] | None:
        found = []
        for key in keys:
            place = self._places.get(key)
            features = None if place is None else _read(place)
            if features is None:
                self._places.pop(key, None)
                return None
            found.append(features)
        return found

    def keep(self, keys: Sequence[Key], features: Tensor) -> None:
        """As `FeatureCache.keep`; a disk that is full is said once, and no more is kept."""
        if self._full:
            return
        places = {}
        try:
            with self._own.open("ab") as file:
                for key, row in zip(keys, features.float().cpu(), strict=True):
                    content = row.contiguous().numpy().tobytes()
                    places[key] = _Place(self._own, file.tell(), tuple(row.shape), zlib.crc32(content))
                    file.write(content)
            with self._own.with_suffix(".jsonl").open("a", encoding="utf-8") as lines:  # after what it lists
                for key, place in places.items():
                    lines.write(json.dumps([key, place.start, place.shape, place.crc]) + "\n")
        except OSError as error:
            self._full = True
            _log.warning("features are kept no longer, %s: %s", self.folder, error.strerror)
            return
        self._places |= places

    def refresh(self) -> None:
        for listed in self.folder.glob("*.jsonl"):
            with listed.open("rb") as lines:
                lines.seek(self._listed.get(listed, 0))
                for line in lines:
                    if not line.endswith(b"\n"):
                        break  # being written, or cut off
                    self._listed[listed] = self._listed.get(listed, 0) + len(line)
                    key, start, shape, crc = json.loads(line)
                    place = _Place(listed.with_suffix(".bin"), start, tuple(shape), crc)
                    self._places.setdefault(key if isinstance(key, str) else tuple(key), place)


def _read(place: _Place) -> Tensor | None:
    """None where the bytes are not those that were kept."""
    count = int(np.prod(place.shape)) * 4
    try:
        with place.file.open("rb", buffering=0) as file:
            file.seek(place.start)
            content = bytearray(count)
            filled = file.readinto(content)
    except OSError:
        return None
    if filled != count or zlib.crc32(content) != place.crc:
        return None
    return torch.frombuffer(content, dtype=torch.float32).reshape(place.shape)
