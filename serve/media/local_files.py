"""Files under one folder, named by `file://` URLs: whatever a path says and however links change, what is opened lies inside."""

import hashlib
import os
import stat
import time
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import unquote_to_bytes

from videorouter.serve.errors import Forbidden, NotThere, RequestError
from videorouter.serve.media.kinds import kind_of
from videorouter.serve.media.stored import StoredFile, shown_name
from videorouter.serve.media.writing import too_large
from videorouter.video.containers import HEAD

LISTED = 1000
"""Files that a list holds."""
REMEMBERED = 4096
"""Files whose hash is kept."""
SETTLED = 2.0
"""Seconds since its last change after which a file's time of change tells another change apart."""


class LocalFiles:
    """The regular files under `root`, each of at most `most` bytes. Safe among threads; everything in here may block."""

    def __init__(self, root: Path, most: int) -> None:
        self.root, self.most = os.path.realpath(root), most
        self._hashes: OrderedDict[tuple[str, int, int, int, int], str] = OrderedDict()
        self._lock = Lock()

    def open(self, url: str, *, hashed: bool = True) -> tuple[StoredFile, int]:
        """The file of a `file://` URL, and its descriptor, which is open until the caller closes it.

        Its hash is empty where it is not to be `hashed`.

        Raises `RequestError`, `Forbidden`, `NotThere`, `TooLarge` and `BadVideo`.
        """
        try:
            real = os.path.realpath(os.fsdecode(path_of(url)))
        except OSError as error:  # a link that stopped being one while it was read
            raise _outside() from error
        descriptor = self._open(real)
        try:
            size = os.fstat(descriptor).st_size
            if size > self.most:
                raise too_large("the file", self.most, size)
            kind = kind_of(os.pread(descriptor, HEAD, 0))
            name, sha256 = shown_name(real), self._sha256(descriptor, real) if hashed else ""
            return StoredFile(_path_of_open(descriptor, real), sha256, size, kind, name), descriptor
        except BaseException:
            os.close(descriptor)
            raise

    def videos(self) -> list[dict[str, Any]]:
        """Name, URL and bytes of at most `LISTED` files under the root that are videos by their first bytes, sorted."""
        found: list[dict[str, Any]] = []
        for folder, folders, names in os.walk(self.root):
            folders.sort()
            for name in sorted(names):
                path = os.path.join(folder, name)
                with suppress(RequestError):
                    stored, descriptor = self.open(Path(path).as_uri(), hashed=False)
                    os.close(descriptor)
                    if stored.kind == "video":
                        shown = os.path.relpath(path, self.root)
                        found.append({"name": shown, "url": Path(path).as_uri(), "size": stored.size})
                if len(found) == LISTED:
                    return found
        return found

    def under(self, name: str) -> Path:
        """The path of a regular file by its name under the root. Raises as `open`."""
        path = Path(self.root, name)
        _, descriptor = self.open(path.as_uri(), hashed=False)
        os.close(descriptor)
        return path

    def _open(self, real: str) -> int:
        """A descriptor of a path without links, opened part by part from the root, so that none that appears is followed."""
        inside = os.path.relpath(real, self.root).split(os.sep)
        if inside[0] in (os.pardir, os.curdir):
            raise _outside()
        at = -1
        try:
            at = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
            for part in inside[:-1]:
                below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
                os.close(at)
                at = below
            if not stat.S_ISREG(os.stat(inside[-1], dir_fd=at, follow_symlinks=False).st_mode):
                raise Forbidden("the file:// URL names no regular file")
            # Not blocking: a pipe that takes the file's place now must not hold us.
            descriptor = os.open(inside[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY, dir_fd=at)
        except FileNotFoundError as error:
            raise NotThere("the file:// URL names no file under the server's --media_root") from error
        except PermissionError as error:
            raise Forbidden("the server may not read the file that the file:// URL names") from error
        except OSError as error:  # a link or a file where a folder was a moment ago, a name that is too long
            raise _outside() from error
        finally:
            if at >= 0:
                os.close(at)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise Forbidden("the file:// URL names no regular file")
        return descriptor

    def _sha256(self, descriptor: int, real: str) -> str:
        before = _same(descriptor, real)
        with self._lock:
            if (known := self._hashes.get(before)) is not None:
                self._hashes.move_to_end(before)
                return known
        with os.fdopen(os.dup(descriptor), "rb") as file:
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        settled = time.time() - before[2] / 1e9 > SETTLED
        if settled and _same(descriptor, real) == before:
            with self._lock:
                self._hashes[before] = digest
                while len(self._hashes) > REMEMBERED:
                    self._hashes.popitem(last=False)
        return digest


def path_of(url: str) -> bytes:
    """The absolute path that a `file://` URL names. Raises `RequestError` where it names none, or one on another host."""
    host, slash, path = url[len("file://") :].partition("/") if url[:7].lower() == "file://" else ("", "", "")
    if not slash:
        raise RequestError("a file:// URL holds an absolute path, with three slashes: file:///videos/a.mp4")
    if host.lower() not in ("", "localhost"):
        raise RequestError("a file:// URL names a file on the server itself, without a host: file:///videos/a.mp4")
    try:
        plain = unquote_to_bytes("/" + path)
    except UnicodeEncodeError as error:  # half a surrogate pair, which JSON can hold
        raise RequestError("a file:// URL has a character that no text has") from error
    if b"\0" in plain:
        raise RequestError("a file:// URL has a zero byte in its path")
    return plain


def _outside() -> Forbidden:
    return Forbidden("the file:// URL names no file under the server's --media_root")


def _path_of_open(descriptor: int, real: str) -> Path:
    """Of the open file itself where the system has such names: another process that opens it gets this very file."""
    own = Path(f"/proc/{os.getpid()}/fd/{descriptor}")
    return own if own.exists() else Path(real)


def _same(descriptor: int, real: str) -> tuple[str, int, int, int, int]:
    now = os.fstat(descriptor)
    return real, now.st_size, now.st_mtime_ns, now.st_ino, now.st_dev
