"""A file that a request may be answered from."""

from dataclasses import dataclass
from pathlib import Path

from videorouter.serve.media.kinds import Kind


@dataclass(frozen=True)
class StoredFile:
    """A video or picture on this machine while it is leased; `name` is what its sender calls it and never part of `path`.

    `sha256` is of the contents, in hexadecimal; `size` in bytes.
    """

    path: Path
    sha256: str
    size: int
    kind: Kind
    name: str


def shown_name(name: str) -> str:
    """The last part of a name as its sender gives it, without what a terminal or a page could be misled by."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(character for character in last if character.isprintable())[:200] or "file"
