"""Files that clients uploaded, apart by owner, bounded in all: those longest unused are dropped for new ones."""

import os
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from videorouter.serve.errors import Busy, NotThere
from videorouter.serve.media.kinds import Kind
from videorouter.serve.media.stored import StoredFile, shown_name
from videorouter.serve.media.writing import written

MANY = 10_000
"""Uploads kept at once, however small."""


@dataclass(frozen=True)
class Upload:
    """What is told of an upload; `created` in seconds of Unix time, `size` in bytes."""

    id: str
    name: str
    size: int
    sha256: str
    kind: Kind
    created: int

    def body(self) -> dict[str, Any]:
        """OpenAI's file object."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": self.size,
            "created_at": self.created,
            "filename": self.name,
            "purpose": "user_data",
            "status": "processed",
        }


@dataclass
class _Kept:
    upload: Upload
    stored: StoredFile
    owner: str
    leases: int = 0
    deleted: bool = False


class Uploads:
    """In `folder`, at most `most` bytes a file and `total` in all, those still coming in counted. Used by one event loop."""

    def __init__(self, folder: Path, most: int, total: int) -> None:
        self._folder, self._most, self._total = folder, most, total
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        """Longest unused first."""
        self._coming: dict[str, int] = {}
        self._held = 0
        """Bytes on disk or about to be, those of deleted files that are still read included."""

    async def add(self, pieces: AsyncIterator[bytes], name: str, owner: str) -> Upload:
        """Keep a file. Raises `TooLarge`, `BadVideo`, and `Busy` where all that is kept is in use."""
        identity = f"file-{secrets.token_hex(16)}"
        shown = shown_name(name)
        self._coming[identity] = 0
        try:
            stored = await written(
                pieces,
                self._folder / identity,
                shown,
                self._most,
                "the upload",
                lambda size: self._make_space(identity, size),
            )
        except BaseException:
            self._held -= self._coming.pop(identity)
            raise
        del self._coming[identity]
        upload = Upload(identity, shown, stored.size, stored.sha256, stored.kind, int(time.time()))
        self._kept[identity] = _Kept(upload, stored, owner)
        return upload

    @contextmanager
    def leased(self, identity: str, owner: str) -> Iterator[StoredFile]:
        """An upload that stays while it is read, whoever deletes it. Raises `NotThere`, also for another owner's."""
        kept = self._of(identity, owner)
        kept.leases += 1
        self._kept.move_to_end(identity)
        try:
            yield kept.stored
        finally:
            kept.leases -= 1
            if kept.deleted and not kept.leases:
                self._drop(kept)

    def of(self, owner: str) -> list[Upload]:
        """An owner's uploads, oldest first."""
        return sorted(
            (kept.upload for kept in self._kept.values() if kept.owner == owner), key=lambda upload: upload.created
        )

    def kept(self, identity: str, owner: str) -> Upload:
        """Raises `NotThere`, also for another owner's."""
        return self._of(identity, owner).upload

    def delete(self, identity: str, owner: str) -> None:
        """Raises `NotThere`, also for another owner's."""
        kept = self._of(identity, owner)
        del self._kept[identity]
        kept.deleted = True
        if not kept.leases:
            self._drop(kept)

    def _of(self, identity: str, owner: str) -> _Kept:
        kept = self._kept.get(identity)
        if kept is None or kept.owner != owner:
            raise NotThere(
                f"no upload {identity[:60]!r}: it was deleted, dropped for newer ones, or never made with this key"
            )
        return kept

    def _make_space(self, identity: str, size: int) -> None:
        self._held += size - self._coming[identity]
        self._coming[identity] = size
        if self._fits():
            return
        for old, kept in list(self._kept.items()):
            if not kept.leases:
                self._drop(self._kept.pop(old))
                if self._fits():
                    return
        raise Busy("the space for uploads is taken by files in use; try again later", retry_after=10)

    def _fits(self) -> bool:
        return self._held <= self._total and len(self._kept) + len(self._coming) <= MANY

    def _drop(self, kept: _Kept) -> None:
        self._held -= kept.stored.size
        with suppress(OSError):
            os.unlink(kept.stored.path)
