"""What a base model is made of, whatever files hold it: its config, and every tensor's dtype, shape and hash (ours).

An export keeps this beside its heads as base.json, so that a base can be compared with it, and what differs be named, when the
base that the routers were trained on is no longer there.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from videorouter.json_files import read_object
from videorouter.routers.backbones.tensor_ranges import TensorRanges
from videorouter.routers.backbones.weight_files import weight_files
from videorouter.routers.checkpoints.canonical_config import unlike_keys
from videorouter.routers.checkpoints.hub_snapshot import CONFIG, cached_snapshot, missing_weights
from videorouter.routers.checkpoints.remembered_hashes import tensor_sha256

BASE: Final = "base.json"
_HEAD, _EMBEDDINGS = "lm_head.weight", "embed_tokens.weight"


@dataclass(frozen=True)
class BaseContent:
    """The content of config.json, and of each tensor by name its dtype and shape, as safetensors writes them.

    `read` gives each tensor's sha256; it is called where nothing else differs.
    """

    config: dict[str, Any]
    shapes: dict[str, tuple[str, tuple[int, ...]]]
    read: Callable[[], dict[str, str]]

    @cached_property
    def sha256(self) -> dict[str, str]:
        """Of each tensor's bytes."""
        return self.read()

    @property
    def total(self) -> str:
        """sha256 over names, dtypes, shapes and bytes of all tensors: the same however they are divided into files."""
        lines = (
            f"{name} {dtype} {list(shape)} {self.sha256[name]}\n"
            for name, (dtype, shape) in sorted(self.shapes.items())
        )
        return hashlib.sha256("".join(lines).encode()).hexdigest()


@dataclass(frozen=True)
class Difference:
    """Where two bases differ: keys of their configs, and names of tensors, of which there are `tensors_in_all`."""

    config: list[str]
    tensors: list[str]
    tensors_in_all: int

    def __bool__(self) -> bool:
        return bool(self.config or self.tensors)

    def __str__(self) -> str:
        told = []
        if self.config:
            told.append(f"in config.json: {', '.join(self.config[:4])}{_more(self.config[4:])}")
        if self.tensors:
            first = f"{'the first ' if len(self.tensors) > 1 else ''}{self.tensors[0]}"
            told.append(f"in {len(self.tensors)} of {self.tensors_in_all} tensors, {first}")
        return " and ".join(told) or "in nothing that counts"


def content_here(path: str, revision: str | None = None, cache_dir: str | Path | None = None) -> BaseContent | None:
    """The content of a checkpoint folder, or of a Hub id whose weights are all in the Hub's cache; None where they are not.

    Nothing is downloaded and no weight is read, but for their headers. Raises `ValueError` for a damaged file.
    """
    folder = Path(path) if Path(path).is_dir() else cached_snapshot(path, revision, cache_dir)
    if folder is None or not (folder / CONFIG).is_file() or missing_weights(folder):
        return None
    files = weight_files(str(folder)).file_of
    shapes: dict[str, tuple[str, tuple[int, ...]]] = {}
    for file in sorted(set(files.values())):
        with TensorRanges(folder / file) as ranges:
            held = {name: (entry["dtype"], tuple(entry["shape"])) for name, entry in ranges.header.items()}
        shapes |= {name: described for name, described in held.items() if files.get(name) == file}

    def read() -> dict[str, str]:
        by_file = {file: tensor_sha256(folder / file) for file in sorted(set(files.values()))}
        return {name: by_file[files[name]][name] for name in shapes}

    return BaseContent(read_object(folder / CONFIG), shapes, read)


def write_content(folder: Path, content: BaseContent) -> None:
    """Write base.json into a router folder."""
    tensors = {
        name: [dtype, list(shape), content.sha256[name]] for name, (dtype, shape) in sorted(content.shapes.items())
    }
    rows = ",\n".join(f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in tensors.items())
    text = f'{{"config": {json.dumps(content.config)},\n "tensors": {{\n{rows}\n }}\n}}\n'
    (folder / BASE).write_text(text, encoding="utf-8")


def recorded_content(folder: Path, total: str | None) -> BaseContent | None:
    """What `write_content` wrote of the base whose tensors have the hash `total`; None without a base.json, or with another's."""
    if total is None or not (folder / BASE).is_file():
        return None
    held = read_object(folder / BASE, "export again")
    try:
        shapes = {name: (dtype, tuple(shape)) for name, (dtype, shape, _) in held["tensors"].items()}
        hashes = {name: str(sha256) for name, (_, _, sha256) in held["tensors"].items()}
        content = BaseContent(dict(held["config"]), shapes, lambda: hashes)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{folder / BASE} is not as `videorouter routers export` writes it: export again") from error
    return content if content.total == total else None


def difference(first: BaseContent, second: BaseContent) -> Difference:
    """Where two bases differ. Tensors are hashed only where names, dtypes and shapes are alike.

    Not a difference: tensors under the names that another version of transformers gives them, and a head stored beside the
    embeddings that it equals.
    """
    config = unlike_keys(first.config, second.config)
    one, other, own = first, second, {}
    if _without_head(one.shapes) != _without_head(other.shapes):
        (one, first_own), (other, second_own) = _renamed(first), _renamed(second)
        own = second_own | first_own
    names = one.shapes.keys() | other.shapes.keys()
    heads = {name for name in one.shapes.keys() ^ other.shapes.keys() if name.endswith(_HEAD)}
    unlike = {name for name in names - heads if one.shapes.get(name) != other.shapes.get(name)}
    if not unlike:
        unlike = {name for name in names - heads if one.sha256[name] != other.sha256[name]}
        unlike |= {name for name in heads if not _is_embeddings(name, one if name in one.shapes else other)}
    return Difference(config, sorted(own.get(name, name) for name in unlike), len(names))


def _without_head(shapes: Mapping[str, Any]) -> set[str]:
    return {name for name in shapes if not name.endswith(_HEAD)}


def _is_embeddings(head: str, content: BaseContent) -> bool:
    return any(
        content.sha256[head] == content.sha256[name] and content.shapes[head] == content.shapes[name]
        for name in content.shapes
        if name.endswith(_EMBEDDINGS)
    )


def _renamed(content: BaseContent) -> tuple[BaseContent, dict[str, str]]:
    """The same by the names that the installed transformers gives the tensors, and by these its own names.

    As it is where transformers does not know the model.
    """
    try:
        from videorouter.routers.backbones.early_loading import placed_names  # which brings transformers' modelling

        placed = placed_names(content.shapes, content.config)
    except Exception:  # unknown families, and whatever a family's class says to values it does not take
        return content, {}
    own = {name: written for written, name in placed.items()}
    if len(own) < len(placed):  # several tensors become one
        return content, {}
    shapes = {placed[name]: described for name, described in content.shapes.items()}
    renamed = BaseContent(content.config, shapes, lambda: {placed[name]: sha for name, sha in content.sha256.items()})
    return renamed, own


def _more(rest: list[str]) -> str:
    return f" and {len(rest)} more" if rest else ""
