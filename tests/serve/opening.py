"""A server's media, opened in tests."""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from videorouter.serve.media.media import Media
from videorouter.serve.media.options import MediaOptions
from videorouter.serve.media.stored import StoredFile

MP4 = b"\0\0\0\x18ftypisom" + bytes(range(256)) * 8
"""The beginning of an mp4 as far as first bytes tell."""
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(64))


@dataclass(frozen=True)
class Seen:
    """A file while it was open."""

    stored: StoredFile
    content: bytes


async def see(media: Media, url: str, owner: str = "me") -> Seen:
    """What a URL leads to."""
    async with media.opened(url, owner) as stored:
        return Seen(stored, stored.path.read_bytes())


def seen(folder: Path, url: str, **options: Any) -> Seen:
    """What a URL leads to, for a server of its own that leaves nothing behind."""
    resolve = {"resolve": options.pop("resolve")} if "resolve" in options else {}
    media = Media(MediaOptions(**options), folder, **resolve)
    before = open_files()
    try:
        return asyncio.run(see(media, url))
    finally:
        assert left_in(folder) == []
        assert open_files() <= before  # less where an earlier server is collected meanwhile
        media.close()


def open_files() -> set[str]:
    """Regular files that this process has open."""
    return {file.path for file in psutil.Process().open_files()}


def descriptors() -> int:
    """Files, sockets and pipes that this process has open, those of servers in its threads included."""
    return psutil.Process().num_fds()


def left_in(folder: Path) -> list[str]:
    """Files that a server keeps in its folder."""
    return [name for _, _, names in os.walk(folder) for name in names if name != "lock"]
