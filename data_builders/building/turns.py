"""Locks of files between the processes that share a run folder, on one machine or several.

flock, which the network file systems of clusters carry from node to node. Files are opened to read and write: NFS makes
locks of byte ranges of them, a shared one needs the former and an exclusive one the latter.
"""

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

from rich.console import Console

_log = logging.getLogger(__name__)

SHARED: Final = fcntl.LOCK_SH
ALONE: Final = fcntl.LOCK_EX
POLL = 0.1
"""Seconds between two tries."""
PATIENT = 1.0
"""Seconds after which a wait is worth a line."""


@contextmanager
def opened_to_lock(path: Path) -> Iterator[TextIO]:
    """The file of a lock, which is made where it is missing; closing it gives its lock back."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        yield file


def locked(file: TextIO, how: int) -> bool:
    """Whether the lock `SHARED` or `ALONE` of a file could be had at once, in place of the one held before.

    Raises `ValueError` where the file system has no locks.
    """
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise ValueError(
            f"{file.name} cannot be locked ({os.strerror(error.errno or 0)}): put --out on storage that has file locks; "
            "Lustre has them where it is mounted with flock"
        ) from error
    return True


@contextmanager
def turn(path: Path, what: str) -> Iterator[None]:
    """Wait until no other process is in a `turn` of the lock `path`; a wait that takes long says that another is at `what`."""
    since, told = time.monotonic(), False
    with opened_to_lock(path) as file:
        while not locked(file, ALONE):
            if not told and time.monotonic() - since > PATIENT:
                told = True
                _log.info("waiting: another job is %s", what)
                Console(markup=False, stderr=True, soft_wrap=True).print(f"waiting: another job is {what}")
            time.sleep(POLL)
        yield
