"""Which base model this is: the hash of its weights, from a folder or from what the Hub says of its files, and its revision."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from videorouter.routers.backbones.loading import could_be_on_the_hub
from videorouter.routers.backbones.loading_options import HubAccess
from videorouter.routers.checkpoints.hub_snapshot import CONFIG, hub_files
from videorouter.routers.checkpoints.remembered_hashes import file_sha256


class CheckpointError(ValueError):
    """An exported folder or a base model that cannot be used; the message says which, why and what to do."""


@dataclass(frozen=True)
class BaseModel:
    """The frozen video model that the routers were trained on: where it was, and the hash of its weights.

    `sha256` is of its files. `tensors` is of its tensors alone, whatever files they are in, as base.json lists them; None where the
    weights were not at hand when the export was made, and in exports of 0.1.0.
    """

    path: str
    sha256: str
    revision: str | None = None
    tensors: str | None = None


def base_identity(path: str, revision: str | None = None, **access: Unpack[HubAccess]) -> BaseModel:
    """Name and hash of a checkpoint folder or Hub id; for the latter no weight is downloaded or read: the Hub knows their sha256.

    A folder and the repository it was downloaded from have the same hash. Offline the Hub's cache tells it; no request is tried
    with HF_HUB_OFFLINE or `local_files_only`. A folder's files are read once on a machine (`remembered_hashes`).

    Raises `CheckpointError` where there are no safetensors weights, and what huggingface_hub raises for a repository that is
    missing, private or unreachable.
    """
    if Path(path).is_dir():
        return BaseModel(path, weights_hash(path))
    if not could_be_on_the_hub(path):
        raise CheckpointError(
            f"{path} is not a folder: give the folder of a transformers checkpoint, or its id on the Hub"
        )
    found = hub_files(path, revision, **access)
    return BaseModel(path, _total(path, found.config, found.weights), found.commit)


def weights_hash(folder: str | Path) -> str:
    """sha256 over config.json and every safetensors file of a checkpoint folder, by name and content.

    Raises `CheckpointError` where the folder holds no weights.
    """
    config = Path(folder) / CONFIG
    told = hashlib.sha256(config.read_bytes()).hexdigest() if config.is_file() else ""
    weights = {path.name: file_sha256(path) for path in Path(folder).glob("*.safetensors") if path.is_file()}
    return _total(str(folder), told, weights)


def _total(where: str, config: str, weights: dict[str, str]) -> str:
    if not weights or not config:
        raise CheckpointError(f"{where} holds no safetensors weights: give the folder of a transformers checkpoint")
    total = hashlib.sha256(f"config.json:{config}\n".encode())
    for name in sorted(weights):
        total.update(f"{name}:{weights[name]}\n".encode())
    return total.hexdigest()
