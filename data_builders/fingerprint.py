"""A run folder belongs to one configuration: a changed one is refused with the difference, never mixed in."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from videorouter.data_builders.ledger import ANSWERS, LEDGER
from videorouter.data_builders.run import RunConfig
from videorouter.shards.writer import write_atomically

RECORD = "build.json"
EARLIER = "earlier"
LOCK = ".lock"
# What may differ between two runs into one folder, because it changes no label: where things lie, how fast they go, what they
# may cost, and how they are run.
PLACES = {"out", "config", "videos", "base_url", "key_variable", "prices", "device"}
SPEED = {"concurrency", "timeout", "attempts", "patience", "deadline", "memory", "decoders"}
LEFT_OUT = frozenset(PLACES | SPEED | {option.name for option in fields(RunConfig)})


def claim_folder(out: Path, config: Mapping[str, Any], new_run: bool = False) -> tuple[str, dict[str, Any]]:
    """Claim `out` for `config`: its fingerprint and the flat record of what was fingerprinted.

    Where an earlier run's configuration differs, `new_run` moves what it made to `out/earlier/N`; without it `ValueError` is
    raised, showing the difference. Answers already paid stay: they are found by what was asked.
    """
    wanted = json.loads(json.dumps(_without(config), sort_keys=True, default=str))
    record = out / RECORD
    if record.is_file():
        earlier = json.loads(record.read_text(encoding="utf-8"))
        changed = sorted(name for name in {*wanted, *earlier} if wanted.get(name) != earlier.get(name))
        if changed and new_run:
            _put_aside(out)
        elif changed:
            lines = "\n".join(f"  {name}: {earlier.get(name)!r} -> {wanted.get(name)!r}" for name in changed)
            raise ValueError(
                f"{out} was begun with another configuration; choose another --out, undo, or\n"
                f"give --new_run to put what it made aside and begin anew\n{lines}"
            )
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(record, json.dumps(wanted, indent=2, sort_keys=True))
    return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest(), wanted


def _put_aside(out: Path) -> None:
    """Move everything but what was paid and `earlier` itself; the record goes last, so that a kill leaves it to be repeated."""
    aside = out / EARLIER / str(sum(1 for _ in (out / EARLIER).glob("*/" + RECORD)))
    aside.mkdir(parents=True, exist_ok=True)
    kept = {EARLIER, ANSWERS, LEDGER, LOCK, RECORD}
    for path in sorted(out.iterdir()):
        if path.name not in kept and not path.name.startswith(LEDGER):
            path.replace(aside / path.name)
    (out / RECORD).replace(aside / RECORD)


def content_hash(content: bytes) -> str:
    """sha256: a file counts by what is in it, wherever it lies."""
    return hashlib.sha256(content).hexdigest()


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
