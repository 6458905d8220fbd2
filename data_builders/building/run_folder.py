"""A run folder, opened for one build: locked, held to one configuration, with its ledger.

Once anything is labelled a changed configuration is refused with the difference, never mixed in. Of jobs that start at one
moment each in its turn claims the folder, so that the first one's configuration is all of theirs.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from videorouter.data_builders.building.again import PUT_BY
from videorouter.data_builders.building.config import RunConfig
from videorouter.data_builders.building.ledger import ANSWERS, DOUBTS, LEDGER, Ledger
from videorouter.data_builders.building.question_index import INDEX
from videorouter.data_builders.building.turns import ALONE, SHARED, locked, opened_to_lock, turn
from videorouter.data_builders.rejects import QUARANTINE
from videorouter.data_builders.teacher.config import TeacherConfig
from videorouter.data_builders.teacher.parameters import USUAL
from videorouter.json_files import read_object
from videorouter.run_log import log_in
from videorouter.shards.sidecar import MANIFEST
from videorouter.shards.writer import remove_unfinished, write_atomically

RECORD = "build.json"
EARLIER = "earlier"
LOCK = ".lock"
"""Held by whoever works in the folder: alone, or shared by jobs of a shard range each."""
TURNS = ".turns.lock"
"""Held for moments, by whoever claims the folder."""
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


LABELS = ("*.tar", f"{PUT_BY}/*.tar", "probes*.json", "probed.jsonl")
"""What a folder holds of which anything is labelled, or was probed."""


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
    with opened_to_lock(out / LOCK) as lock:
        with turn(out / TURNS, f"opening {out}"):
            alone = locked(lock, ALONE)
            if not alone and not (run.shard_range and locked(lock, SHARED)):
                raise ValueError(
                    f"another build works in {out}: wait for its end, or give every one of them a --shard_range"
                )
            if alone:
                remove_unfinished(out)  # of a build that was killed
            fingerprint, record = claim_folder(out, recorded, run.new_run, alone)
            model = teacher.model if teacher else None
            ledger = Ledger.open(out, teacher.prices if teacher else None, run, model)
            if run.shard_range:  # let the other jobs in; within the turn nobody else takes the lock
                assert locked(lock, SHARED)
        with log_in(out):
            yield RunFolder(out, fingerprint, record, ledger, run, teacher)


def claim_folder(
    out: Path, config: Mapping[str, Any], new_run: bool = False, alone: bool = True
) -> tuple[str, dict[str, Any]]:
    """Claim `out` for `config`: its fingerprint and the flat record of what was fingerprinted.

    Where an earlier run's configuration differs and nothing was labelled by it, as where the endpoint refused what it asked, the
    new one takes its place. Where something was, `new_run` moves it to `out/earlier/N`, and without it `ValueError` is raised,
    showing the difference. So it is where others work in the folder, that is, not `alone`. Answers already paid stay: they are
    found by what was asked.
    """
    wanted = json.loads(json.dumps(_without(config), sort_keys=True, default=str))
    record = out / RECORD
    if record.is_file():
        earlier = read_object(record, "put the folder aside, or build into another --out")
        changed = sorted(name for name in {*wanted, *earlier} if wanted.get(name) != earlier.get(name))
        if changed and new_run and not alone:
            raise ValueError(f"jobs of another configuration work in {out}: wait for their end to begin anew")
        if changed and new_run:
            _move_to_earlier(out)
        elif changed and alone and not any(any(out.glob(name)) for name in LABELS):
            _remove_verdicts(out)
        elif changed:
            told = "; ".join(f"{name}: {earlier.get(name)!r} -> {wanted.get(name)!r}" for name in changed)
            raise ValueError(
                f"{out} was begun with another configuration ({told}): choose another --out, undo, or "
                "give --new_run to put what it made aside and begin anew"
            )
    if not record.is_file():
        out.mkdir(parents=True, exist_ok=True)
        write_atomically(record, json.dumps(wanted, indent=2, sort_keys=True))
    return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest(), wanted


def content_hash(content: bytes) -> str:
    """sha256: a file counts by what is in it, wherever it lies."""
    return hashlib.sha256(content).hexdigest()


def _remove_verdicts(out: Path) -> None:
    """Remove what a run that labelled nothing put aside; the record goes last, so that a kill leaves it to be repeated."""
    for path in (*(out / "rejects").glob("*"), out / QUARANTINE, out / MANIFEST):
        path.unlink(missing_ok=True)
    if (out / LEDGER).is_file():
        Ledger(out).forget_all_done()
    (out / RECORD).unlink()


def _move_to_earlier(out: Path) -> None:
    """Move everything but what was paid and `earlier` itself; the record goes last, so that a kill leaves it to be repeated."""
    aside = out / EARLIER / str(sum(1 for _ in (out / EARLIER).glob("*/" + RECORD)))
    aside.mkdir(parents=True, exist_ok=True)
    kept = {EARLIER, ANSWERS, DOUBTS, RECORD}
    for path in sorted(out.iterdir()):
        is_shared = path.name.startswith((LEDGER, INDEX, f".{INDEX}")) or path.name.endswith(LOCK)
        if path.name not in kept and not is_shared:
            path.replace(aside / path.name)
    if (out / LEDGER).is_file():
        Ledger(out).forget_all_done()
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
