"""All samples of a data set, from its sidecars alone. Read without torch."""

import hashlib
from pathlib import Path

from videorouter.shards.errors import DuplicateKey, MissingShard
from videorouter.shards.place import Place, places_in
from videorouter.shards.schema import Sidecar
from videorouter.shards.sidecar import read_manifest, read_sidecar, shard_names, split_of
from videorouter.shards.storage import Storage


class Catalogue:
    """`places` of one split's samples (of all where None) in order; `shards` are the tars by name."""

    def __init__(self, path: str | Path, split: str | None = None) -> None:
        """Open the folder or fsspec address `path`.

        Raises:
            MissingShard, MissingSidecar, BadSidecar, OtherVersion, DuplicateKey: naming the file and the remedy.
        """
        self.storage = Storage(path)
        names = [
            name
            for name in shard_names(self.storage, read_manifest(self.storage))
            if split is None or split == split_of(name)
        ]
        if not names:
            what = f"no {split + ' ' if split else ''}shards"
            raise MissingShard(what, shard=path, remedy="build them with `videorouter data_builders`")
        self.shards: dict[str, Sidecar] = {}
        self.places: list[Place] = []
        seen: dict[str, str] = {}
        for name in names:
            sidecar = read_sidecar(self.storage, name)
            self.shards[name] = sidecar
            for place in places_in(self.storage, name, sidecar):
                key = place.entry.key
                if key in seen:
                    problem = f"the key is also in {seen[key]}"
                    raise DuplicateKey(problem, shard=self.storage.at(name), key=key, remedy="remove one of them")
                seen[key] = name
                self.places.append(place)

    @property
    def fingerprint(self) -> str:
        """Of all bytes of all tars, in order."""
        return hashlib.sha256(" ".join(sidecar.sha256 for sidecar in self.shards.values()).encode()).hexdigest()
