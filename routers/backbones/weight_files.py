"""The files that hold a checkpoint's tensors, in a folder or on the Hub: found by an index or a header, read when one is wanted."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Unpack

from videorouter.routers.backbones.loading_options import HubSource
from videorouter.routers.backbones.tensor_ranges import TensorRanges

WHOLE = "model.safetensors"
INDEX = "model.safetensors.index.json"


@dataclass(frozen=True)
class WeightFiles:
    """`file_of` names the file of every tensor. `revision` is the commit on the Hub; None for a folder."""

    source: str
    file_of: dict[str, str]
    index_bytes: int
    revision: str | None = None
    access: HubSource = field(default_factory=HubSource, repr=False)

    def path(self, name: str) -> Path:
        """The file `name`, downloaded (or found in the cache) where the checkpoint is on the Hub. Raises `ValueError`."""
        at: HubSource = {**self.access, "revision": self.revision}
        path = checkpoint_file(self.source, name, **at)
        if path is None:
            raise ValueError(f"{self.source} lacks {name}, which its {INDEX} names: download the checkpoint again")
        return path


def weight_files(source: str, **access: Unpack[HubSource]) -> WeightFiles:
    """Locate the tensors of a checkpoint folder or Hub id: by the header of its single file, or by its index.

    Raises `ValueError` where there are no safetensors weights, and what huggingface_hub raises for a repository that is
    missing, private or unreachable.
    """
    located = find_weight_files(source, **access)
    if located is None:
        raise ValueError(f"{source} holds no safetensors weights: neither {WHOLE} nor {INDEX}")
    return located


def find_weight_files(source: str, **access: Unpack[HubSource]) -> WeightFiles | None:
    """`weight_files`, and None where there are no safetensors weights."""
    whole = checkpoint_file(source, WHOLE, **access)  # first, as transformers does where there are both
    if whole is not None:
        with TensorRanges(whole) as tensors:
            names, read = dict.fromkeys(tensors.header, WHOLE), tensors.bytes_read
        return WeightFiles(source, names, read, _commit(source, whole), access)
    index = checkpoint_file(source, INDEX, **access)
    if index is None:
        return None
    content = index.read_bytes()
    return WeightFiles(source, json.loads(content)["weight_map"], len(content), _commit(source, index), access)


def checkpoint_file(source: str, name: str, **access: Unpack[HubSource]) -> Path | None:
    """The file `name` of a checkpoint folder or Hub id, downloaded or found in the cache; None where it has none.

    Raises what huggingface_hub raises for a repository that is missing or private.
    """
    if Path(source).is_dir():
        path = Path(source) / name
        return path if path.is_file() else None
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    try:
        return Path(hf_hub_download(source, name, **access))
    except EntryNotFoundError:
        return None


def _commit(source: str, file: Path) -> str | None:
    """The Hub's cache keeps the files of a commit in a folder named after it: later files come from the same one."""
    return None if Path(source).is_dir() else file.parent.name
