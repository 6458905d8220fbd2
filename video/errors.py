"""Verdicts on video files. Permanent ones stay true until the file changes, retryable ones may be gone next time."""

from pathlib import Path
from typing import ClassVar


class VideoError(ValueError):
    """A file that gives no usable frames; the message names it, `verdict` classifies it."""

    verdict: ClassVar[str] = "unreadable"
    permanent: ClassVar[bool] = True

    def __init__(self, path: str | Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = str(path)
        self.reason = reason

    def __reduce__(self) -> tuple[type["VideoError"], tuple[str, str]]:
        return type(self), (self.path, self.reason)  # crosses the pipe of the decoding process


class MissingVideo(VideoError):
    """No such file."""

    verdict = "missing"
    permanent = False


class EmptyVideo(VideoError):
    """A file of zero bytes, or a container without frames."""

    verdict = "empty"


class CorruptVideo(VideoError):
    """No decoder could read frames."""

    verdict = "corrupt"


class TooShortVideo(VideoError):
    """Fewer frames than asked for at least."""

    verdict = "too_short"


class VideoTimeout(VideoError):
    """Decoding did not end before its deadline; the decoding process was killed."""

    verdict = "timeout"
    permanent = False
