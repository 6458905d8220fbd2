"""Bytes that come in pieces, written to a new file off the event loop, with their hash, up to a bound."""

import hashlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock

from anyio import to_thread

from videorouter.serve.errors import BadVideo, TooLarge
from videorouter.serve.media.disk import full_disk_told
from videorouter.serve.media.kinds import read_kind
from videorouter.serve.media.stored import StoredFile

BUFFER = 2**20
"""Bytes gathered before a thread is asked to write them."""


def too_large(what: str, most: int, says: int | None = None) -> TooLarge:
    """The error about `what` that has more than `most` bytes; `says` is its size where that is known."""
    size = "more than" if says is None else f"{says:,} bytes, more than"
    return TooLarge(f"{what} has {size} the {most:,} bytes that are taken: send a shorter or smaller one")


async def written(
    pieces: AsyncIterator[bytes],
    path: Path,
    name: str,
    most: int,
    what: str,
    growing: Callable[[int], None] = lambda size: None,
) -> StoredFile:
    """The file `path`, made of `pieces`; `growing(size)` is told each size before it is reached. Nothing is left where it fails.

    Raises `TooLarge` above `most` bytes, `BadVideo` for what is no video or picture, `DiskFull` where the disk is full, and what
    `pieces` or `growing` raise.
    """
    size, gathered = 0, bytearray()
    with full_disk_told(path.parent):
        file = _HashedFile(path)
    try:
        async for piece in pieces:
            size += len(piece)
            if size > most:
                raise too_large(what, most)
            growing(size)
            gathered += piece
            if len(gathered) >= BUFFER:
                await to_thread.run_sync(file.write, bytes(gathered))
                gathered.clear()
        await to_thread.run_sync(file.write, bytes(gathered))
        if not size:
            raise BadVideo(f"{what} has zero bytes")
        kind = await to_thread.run_sync(read_kind, path)
        return StoredFile(path, file.sha256(), size, kind, name)
    except BaseException:
        with suppress(OSError):
            os.unlink(path)
        with full_disk_told(path.parent):
            raise
    finally:
        file.close()


class _HashedFile:
    """A new file. Closing waits for a write: a task may be cancelled while a thread still writes for it."""

    def __init__(self, path: Path) -> None:
        self._digest, self._lock, self._file = hashlib.sha256(), Lock(), path.open("xb", buffering=0)

    def write(self, data: bytes) -> None:
        with self._lock:
            self._digest.update(data)
            while data and not self._file.closed:  # a nearly full disk takes a part and then says so
                data = data[self._file.write(data) :]

    def sha256(self) -> str:
        return self._digest.hexdigest()

    def close(self) -> None:
        with self._lock:
            self._file.close()


async def in_thread(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """`pieces`, each made in a thread."""
    while (piece := await to_thread.run_sync(next, pieces, None)) is not None:
        yield piece
