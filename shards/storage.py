"""The files of one folder, on this machine or behind any address fsspec knows (s3://, https://, memory://, ...)."""

import os
from pathlib import Path
from typing import Any

import fsspec


class Storage:
    """Reads whole files and ranges of files of `folder`. May be sent to, or inherited by, other processes."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = str(folder)
        self._local = None if "://" in self.folder else Path(self.folder)
        self._remote: tuple[int, Any, str] | None = None

    def at(self, name: str) -> str:
        """A file's path or address, for people."""
        return f"{self.folder.rstrip('/')}/{name}"

    def names(self) -> list[str]:
        """Names of the files in the folder, sorted; empty where there is no folder. Raises `OSError` where it cannot tell."""
        if self._local is not None:
            return sorted(path.name for path in self._local.iterdir()) if self._local.is_dir() else []
        system, root = self._system()
        try:
            return sorted(str(found).rstrip("/").rsplit("/", 1)[-1] for found in system.ls(root, detail=False))
        except FileNotFoundError:
            return []

    def read(self, name: str) -> bytes | None:
        """A file's content; None where there is no such file."""
        try:
            if self._local is not None:
                return (self._local / name).read_bytes()
            system, root = self._system()
            content: bytes = system.cat_file(f"{root}/{name}")
        except FileNotFoundError:
            return None
        return content

    def read_range(self, name: str, start: int, size: int) -> bytes:
        """`size` bytes from `start`, fewer where the file ends. Raises `FileNotFoundError`."""
        if self._local is not None:
            with (self._local / name).open("rb", buffering=0) as file:
                return os.pread(file.fileno(), size, start)
        system, root = self._system()
        content: bytes = system.cat_file(f"{root}/{name}", start=start, end=start + size)
        return content

    def _system(self) -> tuple[Any, str]:
        """fsspec's file system, made anew in every process: connections do not survive a fork."""
        if self._remote is None or self._remote[0] != os.getpid():
            self._remote = (os.getpid(), *fsspec.core.url_to_fs(self.folder))
        return self._remote[1], self._remote[2].rstrip("/")

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_remote": None}
