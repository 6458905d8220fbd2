"""Hashes of large files, each worked out once on a machine and remembered beside the Hub's cache (ours).

Files are told apart by path, size and time of change. While one process reads a file the others that want its hash wait for it:
the ranks of a training, or two commands at once, read no weights twice.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from filelock import FileLock

from videorouter.routers.backbones.tensor_ranges import TensorRanges

CACHE: Final = "VIDEOROUTER_CACHE"
"""Environment variable: the folder of what is remembered; `videorouter` beside the Hub's cache where it is not set."""
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def cache_folder() -> Path:
    """Where hashes are remembered. Whatever is in it may be deleted at any time: it is worked out again."""
    from huggingface_hub.constants import HF_HOME

    return Path(os.environ.get(CACHE) or Path(HF_HOME) / "videorouter")


def file_sha256(path: Path) -> str:
    """sha256 of a file's content; of one in the Hub's cache by its name there, so that it is not read."""
    return _named_by_the_hub(path) or str(_remembered(path, "sha256", lambda: _sha256(path)))


def tensor_sha256(path: Path) -> dict[str, str]:
    """sha256 of the bytes of every tensor in a safetensors file, by name. Raises `ValueError` for a damaged file."""

    def read() -> dict[str, str]:
        with TensorRanges(path) as ranges:
            return dict(ranges.sha256())

    return dict(_remembered(path, "tensors", read))


def _named_by_the_hub(path: Path) -> str | None:
    """A snapshot's files are links into `blobs/`, where LFS files are named by their sha256 and small ones by git's sha1."""
    while path.is_symlink():
        path = path.parent / path.readlink()
        if path.parent.name == "blobs" and _SHA256.fullmatch(path.name):
            return path.name
    return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remembered(path: Path, what: str, work_out: Callable[[], Any]) -> Any:
    real = path.resolve()
    seen = real.stat()
    about = {"path": str(real), "size": seen.st_size, "mtime_ns": seen.st_mtime_ns}
    entry = cache_folder() / "hashes" / f"{hashlib.sha256(str(real).encode()).hexdigest()[:32]}.json"
    known = _read(entry, about)
    if what not in known:
        with _one_at_a_time(entry):
            known = _read(entry, about)
            if what not in known:
                known[what] = work_out()
                remember(entry, about | known)
    return known[what]


def _read(entry: Path, about: dict[str, Any]) -> dict[str, Any]:
    """What is known of the file that `about` describes, which is nothing where it has changed since."""
    found = recalled(entry)
    return {**about, **found} if about.items() <= found.items() else dict(about)


def recalled(entry: Path) -> dict[str, Any]:
    """What `remember` wrote; empty where there is nothing, or nothing that can be read."""
    try:
        found = json.loads(entry.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def remember(entry: Path, content: dict[str, Any]) -> None:
    """Write `entry` whole or not at all. Where the folder cannot be written nothing is remembered, and nothing fails."""
    unfinished = entry.with_name(f".{entry.name}.{os.getpid()}")
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(json.dumps(content), encoding="utf-8")
        os.replace(unfinished, entry)
    except OSError:
        return


@contextmanager
def _one_at_a_time(entry: Path) -> Iterator[None]:
    lock = FileLock(entry.with_suffix(".lock"))
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except (OSError, NotImplementedError):  # a disk that cannot be written, or has no locks
        pass
    try:
        yield
    finally:
        lock.release()
