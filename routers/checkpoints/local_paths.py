"""Files of a router folder without the paths of the machine that they were made on, which mean nothing to others (ours)."""

import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

import yaml

from videorouter.json_files import read_object
from videorouter.routers.backbones.language_weights import ADAPTER, ADAPTER_CONFIG
from videorouter.routers.checkpoints.training_history import HISTORY, SETTINGS

PLACES: Final = {
    "base", "checkpoint", "ckpt_path", "config", "default_root_dir", "dirpath", "init_from", "more_labels", "out", "path", "resume",
    "root_dir", "routers", "save_dir", "shards",
}  # fmt: skip
"""Settings whose values are folders, files or addresses."""
WORDS: Final = {"system_prompt"}
"""Settings whose values are text for the model: they stay as they are, whatever they look like."""
_ADDRESS: Final = re.compile(r"(?!file:)[a-z][a-z0-9+]*://", re.IGNORECASE)
_ROOTED: Final = re.compile(r"(/|~|\.\.?/|\.\.?$|file://|[A-Za-z]:[\\/]|\\\\)")


def remove_local_paths(folder: Path, base: str, hub_ids: Collection[str] = ()) -> None:
    """Rewrite the JSON and YAML of a router folder in place: where a path of this machine stood, its last part stands.

    The base is `base` everywhere; `hub_ids` are names that look like paths and are repositories. Addresses stay.
    """
    known = {base, *hub_ids}
    adapter = folder / ADAPTER / ADAPTER_CONFIG
    if adapter.is_file():
        _write(adapter, read_object(adapter) | {"base_model_name_or_path": base})
    if (folder / HISTORY).is_file():
        history = read_object(folder / HISTORY)
        for training in history["trainings"]:
            for data in training["data"]:
                data["folder"] = elsewhere(str(data["folder"]), known)
        _write(folder / HISTORY, history)
    for path in folder.glob(SETTINGS):
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
        path.write_text(yaml.safe_dump(_rewritten(settings, base, known), sort_keys=False), encoding="utf-8")


def elsewhere(value: str, known: Collection[str] = ()) -> str:
    """A path without the folders above its last part; addresses, and `known` names of repositories, as they are."""
    if value in known or _ADDRESS.match(value):
        return value
    return PurePosixPath(value.replace("\\", "/").rstrip("/")).name or value


def _rewritten(value: Any, base: str, known: Collection[str], key: str = "") -> Any:
    if isinstance(value, Mapping):
        return {name: _rewritten(inner, base, known, str(name)) for name, inner in value.items()}
    if isinstance(value, list):
        return [_rewritten(inner, base, known, key) for inner in value]
    if not isinstance(value, str) or key in WORDS:
        return value
    if key == "base":
        return base
    local = key in PLACES or _ROOTED.match(value) or ("/" in value and Path(value).exists())
    return elsewhere(value, known) if local else value


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
