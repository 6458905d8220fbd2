"""What a URL or the id of an upload leads to, as a file on this machine for as long as a request needs it."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from anyio import to_thread
from filelock import FileLock, Timeout

from videorouter.serve.errors import Forbidden, NotThere, RequestError
from videorouter.serve.media.address import AllowedHosts
from videorouter.serve.media.data_urls import data_of
from videorouter.serve.media.fetch import Fetcher, Resolve, system_addresses
from videorouter.serve.media.local_files import LocalFiles
from videorouter.serve.media.options import MediaOptions
from videorouter.serve.media.stored import StoredFile
from videorouter.serve.media.uploads import Upload, Uploads
from videorouter.serve.media.writing import in_thread, written

TAKEN = "a URL of a video begins with data:, https://, http:// or file://, or is the file-... id of an upload"


class Media:
    """The media of one server. `folder` holds what is fetched and uploaded, and is emptied at the start and by `close`.

    Used by one event loop; what blocks runs in threads. Raises `ValueError` where another server has the folder.
    """

    def __init__(self, options: MediaOptions, folder: Path, resolve: Resolve = system_addresses) -> None:
        self._options, self._passing, uploads = options, folder / "passing", folder / "uploads"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = FileLock(folder / "lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise ValueError(f"{folder} is in use by another server: give each a folder of its own") from error
        self._folders = (self._passing, uploads)
        for each in self._folders:
            each.mkdir(exist_ok=True, mode=0o700)
        self._clear()
        self._local = None if options.media_root is None else LocalFiles(options.media_root, options.most_bytes)
        self._hosts = AllowedHosts(options.allowed_hosts)
        self._fetcher = Fetcher(self._hosts, options.fetch_timeout, options.most_redirects, options.most_bytes, resolve)
        self._uploads = Uploads(uploads, options.most_bytes, options.upload_bytes)

    @asynccontextmanager
    async def opened(self, url: str, owner: str) -> AsyncIterator[StoredFile]:
        """The file of a URL or an upload's id; it is there until the block ends.

        Raises `RequestError` for what is malformed, `Forbidden` for what the server does not take, `NotThere`, `TooLarge`,
        `BadVideo` for what is no video or picture, `Unreachable` where another server fails, `DiskFull` where the disk is full.
        """
        scheme, colon, _ = url[:20].lstrip().lower().partition(":")
        if not colon and url.startswith("file-"):
            with self._uploads.leased(url, owner) as stored:
                yield stored
        elif colon and scheme == "file":
            async with self._local_file(url.strip()) as stored:
                yield stored
        elif colon and scheme in ("data", "http", "https"):
            path = self._passing / secrets.token_hex(16)
            try:
                yield await (self._decoded(url.lstrip(), path) if scheme == "data" else self._fetched(url, path))
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(path)
        else:
            raise RequestError(f"{url[:60]!r} is no address of a video: {TAKEN}")

    async def check(self, url: str) -> None:
        """Raise as `opened` for a URL that another server may not be given to open; none is asked, no file is read through.

        An upload is ours alone: its id means nothing there, or somebody else's file.
        """
        scheme, colon, _ = url[:20].lstrip().lower().partition(":")
        if colon and scheme == "file":
            async with self._local_file(url.strip(), hashed=False):
                return
        if colon and scheme in ("http", "https"):
            self._refuse_without_hosts()
            await self._fetcher.check(url)
        elif not colon and url.startswith("file-"):
            raise RequestError("an upload is not passed on: send the file itself, as a data: URL")
        elif not (colon and scheme == "data"):
            raise RequestError(f"{url[:60]!r} is no address of a video or picture: {TAKEN}")

    async def upload(self, pieces: AsyncIterator[bytes], name: str, owner: str) -> Upload:
        """Keep a file that comes in `pieces`, until it is deleted or longest unused of too many.

        Raises `TooLarge`, `BadVideo`, `Busy` where the space for uploads is in use, `DiskFull` where the disk is full, and what
        `pieces` raise.
        """
        return await self._uploads.add(pieces, name, owner)

    def uploads(self, owner: str) -> list[Upload]:
        """An owner's uploads, oldest first."""
        return self._uploads.of(owner)

    def kept(self, id: str, owner: str) -> Upload:
        """One of them. Raises `NotThere`, also for another owner's."""
        return self._uploads.kept(id, owner)

    def delete(self, id: str, owner: str) -> None:
        """Drop an upload; who reads it now reads on. Raises `NotThere`, also for another owner's."""
        self._uploads.delete(id, owner)

    def listed(self) -> list[dict[str, Any]]:
        """The videos under the media root, by name: what the page offers. May block."""
        return [] if self._local is None else self._local.videos()

    def listed_file(self, name: str) -> Path:
        """The file of one of them. Raises `NotThere`, and as `opened`; may block."""
        if self._local is None:
            raise NotThere("this server has no --media_root")
        return self._local.under(name)

    def close(self) -> None:
        """Delete all that was fetched and uploaded."""
        self._clear()
        self._lock.release()

    async def _decoded(self, url: str, path: Path) -> StoredFile:
        most = self._options.most_bytes
        return await written(in_thread(data_of(url, most)), path, "data", most, "the data: URL")

    async def _fetched(self, url: str, path: Path) -> StoredFile:
        self._refuse_without_hosts()
        return await self._fetcher.fetch(url, path)

    def _refuse_without_hosts(self) -> None:
        if not self._hosts:
            raise Forbidden(
                "this server fetches no media: start it with --video_hosts that name the hosts it may ask, or send the file"
                " itself as a data: URL or an upload"
            )

    @asynccontextmanager
    async def _local_file(self, url: str, hashed: bool = True) -> AsyncIterator[StoredFile]:
        if self._local is None:
            raise Forbidden("this server takes no file:// URLs: start it with --media_root, the folder they may name")
        opening = asyncio.ensure_future(to_thread.run_sync(partial(self._local.open, url, hashed=hashed)))
        try:
            stored, descriptor = await asyncio.shield(opening)
        except asyncio.CancelledError:  # the thread opens it all the same
            opening.add_done_callback(_close_opened)
            raise
        try:
            yield stored
        finally:
            os.close(descriptor)

    def _clear(self) -> None:
        for folder in self._folders:
            for path in folder.iterdir():
                path.unlink(missing_ok=True)


def _close_opened(opening: asyncio.Future[tuple[StoredFile, int]]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        os.close(opening.result()[1])
