"""A run folder, opened for one build: locked, held to one configuration, with its ledger.

A changed configuration is refused with the difference, never mixed in.
"""

import fcntl
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from videorouter.data_builders.building.config import RunConfig
from videorouter.data_builders.building.ledger import ANSWERS, LEDGER, Ledger
from videorouter.data_builders.teacher.config import TeacherConfig
from videorouter.data_builders.teacher.parameters import USUAL
from videorouter.run_log import log_in
from videorouter.shards.writer import write_atomically

RECORD = "build.json"
EARLIER = "earlier"
LOCK = ".lock"
# What may differ between two runs into one folder, because it changes no label: where things lie, how fast they go, what they
# may cost, and how they are run.
PLACES = {
    "out",
    "config",
    "videos",
    "allow_outside",
    "base_url",
    "key_variable",
    "prices",
    "device",
    "headers",
    "query",
    "max_tokens_name",
}
SPEED = {"concurrency", "timeout", "attempts", "wait", "patience", "deadline", "memory", "decoders"}
LEFT_OUT = frozenset(PLACES | SPEED | {option.name for option in fields(RunConfig)})


@dataclass(frozen=True)
class RunFolder:
    """`record` is what was fingerprinted, flat."""

    out: Path
    fingerprint: str
    record: dict[str, Any]
    ledger: Ledger
    run: RunConfig
    teacher: TeacherConfig | None


@contextmanager
def open_folder(
    out: Path, recorded: Mapping[str, Any], run: RunConfig, teacher: TeacherConfig | None
) -> Iterator[RunFolder]:
    """Open `out` for the configuration `recorded`.

    What is done while it is open is logged in its `run.log`. Raises `ValueError` where another build works in it (runs with a
    shard range share it), where it belongs to another configuration, or where a cap in dollars has no price.
    """
    out.mkdir(parents=True, exist_ok=True)
    with (out / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, (fcntl.LOCK_SH if run.shard_range else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError as error:
            raise ValueError(
                f"another build works in {out}: wait for its end, or give every one of them a --shard_range"
            ) from error
        fingerprint, record = claim_folder(out, recorded, run.new_run)
        model = teacher.model if teacher else None
        ledger = Ledger.open(out, teacher.prices if teacher else None, run, model)
        with log_in(out):
            yield RunFolder(out, fingerprint, record, ledger, run, teacher)


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
            _move_to_earlier(out)
        elif changed:
            told = "; ".join(f"{name}: {earlier.get(name)!r} -> {wanted.get(name)!r}" for name in changed)
            raise ValueError(
                f"{out} was begun with another configuration ({told}): choose another --out, undo, or "
                "give --new_run to put what it made aside and begin anew"
            )
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(record, json.dumps(wanted, indent=2, sort_keys=True))
    return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest(), wanted


def content_hash(content: bytes) -> str:
    """sha256: a file counts by what is in it, wherever it lies."""
    return hashlib.sha256(content).hexdigest()


def _move_to_earlier(out: Path) -> None:
    """Move everything but what was paid and `earlier` itself; the record goes last, so that a kill leaves it to be repeated."""
    aside = out / EARLIER / str(sum(1 for _ in (out / EARLIER).glob("*/" + RECORD)))
    aside.mkdir(parents=True, exist_ok=True)
    kept = {EARLIER, ANSWERS, LEDGER, LOCK, RECORD}
    for path in sorted(out.iterdir()):
        if path.name not in kept and not path.name.startswith(LEDGER):
            path.replace(aside / path.name)
    (out / RECORD).replace(aside / RECORD)


def _without(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The config flattened to dotted names, without what is left out."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if prefix == "teacher." and name in USUAL:
            if value != USUAL[name]:
                flat[prefix + name] = "none" if value is None else value  # not recorded is the usual one
        elif name in LEFT_OUT:
            continue
        elif isinstance(value, Mapping):
            flat |= _without(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
