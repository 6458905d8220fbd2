"""A run folder belongs to one configuration: a changed one is refused with the difference, never mixed in."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shards.writer import write_atomically

RECORD = "build.json"
# What may differ between two runs into one folder, because it changes no label: where things lie and how fast they go.
LEFT_OUT = frozenset({"out", "config", "videos", "base_url", "concurrency", "timeout", "attempts", "deadline"})


def claim_folder(out: Path, config: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Claim `out` for `config`: its fingerprint and the flat record of what was fingerprinted.

    Raises `ValueError` showing what differs from an earlier run's.
    """
    wanted = json.loads(json.dumps(_without(config), sort_keys=True, default=str))
    record = out / RECORD
    if record.is_file():
        earlier = json.loads(record.read_text(encoding="utf-8"))
        changed = sorted(name for name in {*wanted, *earlier} if wanted.get(name) != earlier.get(name))
        if changed:
            lines = "\n".join(f"  {name}: {earlier.get(name)!r} -> {wanted.get(name)!r}" for name in changed)
            raise ValueError(f"{out} was begun with another configuration; choose another --out or undo\n{lines}")
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(record, json.dumps(wanted, indent=2, sort_keys=True))
    return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest(), wanted


def content_hash(path: Path) -> str:
    """sha256 of a file: a file counts by what is in it, wherever it lies."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _without(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The config flattened to dotted names, without what is left out."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if name in LEFT_OUT:
            continue
        if isinstance(value, Mapping):
            flat |= _without(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
