"""The whole language model over which adapters were trained: the router folder that holds it, known by hash (ours)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from videorouter.routers.backbones.language_weights import WHOLE, with_adapter
from videorouter.routers.checkpoints.base_identity import CheckpointError
from videorouter.routers.checkpoints.hub import router_folder
from videorouter.routers.checkpoints.remembered_hashes import file_sha256


@dataclass(frozen=True)
class WholeBelow:
    """The router folder `path` (or Hub id, at the commit `revision`), and the hash of its `language_model/`."""

    path: str
    revision: str | None
    sha256: str

    @classmethod
    def of(cls, path: str, folder: Path) -> "WholeBelow | None":
        """Of the router folder `path`, which lies in `folder`; None where that holds no whole language model."""
        if not (folder / WHOLE).is_dir():
            return None
        here = Path(path).is_dir()
        return cls(str(folder.resolve()) if here else path, None if here else folder.name, _hash(folder))

    def with_adapter(self, record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The whole language model with an adapter that was trained over it.

        Raises `CheckpointError` where it is not there as it was.
        """
        remedy = "put the router folder back that this training was started from"
        try:
            folder = router_folder(self.path, self.revision)
        except CheckpointError as error:
            raise CheckpointError(
                f"the adapter was trained over the language model in {self.path}: {remedy}"
            ) from error
        if not (folder / WHOLE).is_dir() or _hash(folder) != self.sha256:
            raise CheckpointError(
                f"{self.path} no longer holds the language model that the adapter was trained over: {remedy}"
            )
        return with_adapter(folder, record, tensors)


def _hash(folder: Path) -> str:
    files = sorted((folder / WHOLE).glob("*.safetensors"))
    return hashlib.sha256("".join(f"{path.name}:{file_sha256(path)}\n" for path in files).encode()).hexdigest()
