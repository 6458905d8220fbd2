"""Permanent verdicts, remembered between runs: a file that never decodes is not tried again until it changes."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from videorouter.video.errors import CorruptVideo, EmptyVideo, ForbiddenContainer, TooShortVideo, VideoError


class VerdictCache:
    """One small JSON file a failing video in `folder`, which any number of processes may share."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    @contextmanager
    def consulted(self, path: str | Path, shortest: float = 0.0) -> Iterator[None]:
        """Around the decoding of `path`: raises what is remembered of it, remembers a permanent `VideoError` raised within."""
        if (known := self.recall(path, shortest)) is not None:
            raise known
        before = _stat(path)
        try:
            yield
        except VideoError as error:
            if error.permanent and before is not None:
                with suppress(OSError):  # a full disk costs a second try, not this verdict
                    self._remember(path, error, before)
            raise

    def recall(self, path: str | Path, shortest: float = 0.0) -> VideoError | None:
        """The verdict that still holds for `path`; being too short holds below `shortest` seconds, whatever was asked then.

        A file is the same while its size and time of change are, or its size and its contents' sha256.
        """
        now = _stat(path)
        try:
            kept = json.loads(self._file(path).read_text(encoding="utf-8"))
            if now is None or kept["size"] != now["size"] or kept["decoder"] != _decoder():
                return None
            if kept["mtime_ns"] != now["mtime_ns"] and kept["sha256"] != _sha256(path):
                return None
            with suppress(
                OSError
            ):  # what another process left when it was killed; a living one that writes it says the same
                _unfinished(self._file(path)).unlink(missing_ok=True)
            if kept["verdict"] == TooShortVideo.verdict:
                return TooShortVideo(path, kept["seconds"], shortest) if kept["seconds"] < shortest else None
            kinds = {kind.verdict: kind for kind in (EmptyVideo, CorruptVideo, ForbiddenContainer)}
            return kinds[kept["verdict"]](path, kept["reason"])
        except (OSError, ValueError, KeyError, TypeError):  # none, or damaged: as good as none
            return None

    def _remember(self, path: str | Path, error: VideoError, before: dict[str, int]) -> None:
        entry: dict[str, Any] = {"path": str(path), "verdict": error.verdict, "reason": error.reason, **before}
        entry |= {"sha256": _sha256(path), "decoder": _decoder()}
        if isinstance(error, TooShortVideo):
            entry["seconds"] = error.seconds
        if _stat(path) != before:  # it is still being written: the verdict is on something that no longer exists
            return
        target = self._file(path)
        hidden = _unfinished(target)
        self.folder.mkdir(parents=True, exist_ok=True)
        hidden.write_text(json.dumps(entry, indent=1) + "\n", encoding="utf-8")
        with suppress(FileNotFoundError):  # another process that found the same has just moved it
            hidden.replace(target)

    def _file(self, path: str | Path) -> Path:
        return self.folder / f"{hashlib.sha256(str(Path(path).resolve()).encode()).hexdigest()[:32]}.json"


def _unfinished(target: Path) -> Path:
    """Always the same, so that what a kill leaves is found again."""
    return target.with_name(f".{target.name}")


def _stat(path: str | Path) -> dict[str, int] | None:
    with suppress(OSError):
        stat = os.stat(path)
        return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    return None


def _sha256(path: str | Path) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _decoder() -> str:
    """A newer one may read what this one could not."""
    return f"av {version('av')}"
