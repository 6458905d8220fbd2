"""A disk that is full is an error of its own, told to the client and to the operator (ours)."""

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from videorouter.serve.errors import DiskFull

_log = logging.getLogger(__name__)


@contextmanager
def full_disk_told(folder: Path) -> Iterator[None]:
    """While the body runs, which writes in `folder`. Raises `DiskFull` where there is no space left, or no quota."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _log.error("the disk of %s is full (%s): make room, or set TMPDIR to a larger one", folder, error.strerror)
        raise DiskFull from error
