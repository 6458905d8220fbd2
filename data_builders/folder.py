"""A run folder, opened for one build: locked, claimed for its configuration, with its ledger."""

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from videorouter.data_builders.fingerprint import LOCK, claim_folder
from videorouter.data_builders.ledger import Ledger
from videorouter.data_builders.run import RunConfig
from videorouter.data_builders.teacher import TeacherConfig


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

    Raises `ValueError` where another build works in it (runs with a shard range share it), where it belongs to another
    configuration, or where a cap in dollars has no price.
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
        yield RunFolder(out, fingerprint, record, ledger, run, teacher)
