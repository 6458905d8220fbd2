"""Which base model this is: the hash of its weights, from a folder or from what the Hub says of its files, and its revision."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from videorouter.routers.backbones.loading import asking_the_hub, could_be_on_the_hub


class CheckpointError(ValueError):
    """An exported folder or a base model that cannot be used; the message says which, why and what to do."""


@dataclass(frozen=True)
class BaseModel:
    """The frozen video model that the routers were trained on: where it was, and the hash of its weights."""

    path: str
    sha256: str
    revision: str | None = None


def base_identity(path: str, revision: str | None = None) -> BaseModel:
    """Name and hash of a checkpoint folder or Hub id; for the latter no weight is downloaded: the Hub knows their sha256.

    A folder and the repository it was downloaded from have the same hash. Raises `CheckpointError` where there are no
    safetensors weights, and what huggingface_hub raises for a repository that is missing, private or unreachable.
    """
    if Path(path).is_dir():
        return BaseModel(path, weights_hash(path))
    if not could_be_on_the_hub(path):
        raise CheckpointError(
            f"{path} is not a folder: give the folder of a transformers checkpoint, or its id on the Hub"
        )
    from huggingface_hub import HfApi, hf_hub_download

    with asking_the_hub(path):
        info = HfApi().model_info(path, revision=revision, files_metadata=True)
    hashes = {file.rfilename: file.lfs.sha256 for file in info.siblings or [] if file.lfs is not None}
    weights = {name: sha for name, sha in hashes.items() if "/" not in name and name.endswith(".safetensors")}
    config = Path(hf_hub_download(path, "config.json", revision=info.sha))
    with config.open("rb") as file:
        return BaseModel(path, _total(path, hashlib.file_digest(file, "sha256").hexdigest(), weights), info.sha)


def weights_hash(folder: str | Path) -> str:
    """sha256 over config.json and every safetensors file of a checkpoint folder, by name and content.

    Raises `CheckpointError` where the folder holds no weights.
    """
    hashes = {}
    for path in [Path(folder) / "config.json", *Path(folder).glob("*.safetensors")]:
        if path.is_file():
            with path.open("rb") as file:
                hashes[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return _total(str(folder), hashes.pop("config.json", ""), hashes)


def _total(where: str, config: str, weights: dict[str, str]) -> str:
    if not weights or not config:
        raise CheckpointError(f"{where} holds no safetensors weights: give the folder of a transformers checkpoint")
    total = hashlib.sha256(f"config.json:{config}\n".encode())
    for name in sorted(weights):
        total.update(f"{name}:{weights[name]}\n".encode())
    return total.hexdigest()
