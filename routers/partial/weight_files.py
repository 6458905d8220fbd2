"""Which file of a checkpoint holds which tensor, in a folder or on the Hub; files are fetched when they are needed."""

import json
from dataclasses import dataclass
from pathlib import Path

from videorouter.routers.partial.tensor_ranges import TensorRanges

WHOLE = "model.safetensors"
INDEX = "model.safetensors.index.json"


@dataclass(frozen=True)
class WeightFiles:
    """`file_of` names the file of every tensor. `revision` is the commit on the Hub; None for a folder."""

    source: str
    file_of: dict[str, str]
    index_bytes: int
    revision: str | None = None

    def path(self, name: str) -> Path:
        """The file `name`, downloaded (or found in the cache) where the checkpoint is on the Hub. Raises `ValueError`."""
        path = _found(self.source, name, self.revision)
        if path is None:
            raise ValueError(f"{self.source} lacks {name}, which its {INDEX} names: download the checkpoint again")
        return path


def weight_files(source: str, revision: str | None = None) -> WeightFiles:
    """Locate the tensors of a checkpoint folder or Hub id: by the header of its single file, or by its index.

    Raises `ValueError` where there are no safetensors weights, and what huggingface_hub raises for a repository that is
    missing, private or unreachable.
    """
    whole = _found(source, WHOLE, revision)  # first, as transformers does where there are both
    if whole is not None:
        with TensorRanges(whole) as tensors:
            return WeightFiles(source, dict.fromkeys(tensors.header, WHOLE), tensors.bytes_read, _commit(source, whole))
    index = _found(source, INDEX, revision)
    if index is None:
        raise ValueError(f"{source} holds no safetensors weights: neither {WHOLE} nor {INDEX}")
    content = index.read_bytes()
    return WeightFiles(source, json.loads(content)["weight_map"], len(content), _commit(source, index))


def _found(source: str, name: str, revision: str | None) -> Path | None:
    if Path(source).is_dir():
        path = Path(source) / name
        return path if path.is_file() else None
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    try:
        return Path(hf_hub_download(source, name, revision=revision))
    except EntryNotFoundError:
        return None


def _commit(source: str, file: Path) -> str | None:
    """The Hub's cache keeps the files of a commit in a folder named after it: later files come from the same one."""
    return None if Path(source).is_dir() else file.parent.name
