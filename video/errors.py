"""Verdicts on video files. Permanent ones stay true until the file changes, retryable ones may be gone next time."""

from pathlib import Path
from typing import Any, ClassVar


class VideoError(ValueError):
    """A file that gives no usable frames; the message names it, `verdict` classifies it."""

    verdict: ClassVar[str] = "unreadable"
    permanent: ClassVar[bool] = True

    def __init__(self, path: str | Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = str(path)
        self.reason = reason

    def __reduce__(self) -> tuple[type["VideoError"], tuple[Any, ...]]:
        return type(self), (self.path, self.reason)  # crosses the pipe of the decoding process


class MissingVideo(VideoError):
    """No such file."""

    verdict = "missing"
    permanent = False


class OutsideVideo(MissingVideo):
    """A path that leads out of the folder in which videos are looked for."""

    verdict = "outside"


class EmptyVideo(VideoError):
    """A file of zero bytes, or a container without frames."""

    verdict = "empty"


class CorruptVideo(VideoError):
    """No decoder could read frames."""

    verdict = "corrupt"


class ForbiddenContainer(VideoError):
    """A list of other files, such as a playlist, or a container that is not read: nothing in it is followed."""

    verdict = "forbidden"


class TooShortVideo(VideoError):
    """It lasts `seconds`, which is less than the `shortest` wanted."""

    verdict = "too_short"

    def __init__(self, path: str | Path, seconds: float, shortest: float) -> None:
        super().__init__(path, f"it lasts {seconds:.3f} s, less than the {shortest:g} s wanted at least")
        self.seconds = seconds
        self.shortest = shortest

    def __reduce__(self) -> tuple[type["VideoError"], tuple[Any, ...]]:
        return type(self), (self.path, self.seconds, self.shortest)


class UnusableShape(VideoError):
    """Its frames have a shape that cannot be resized as was asked, such as one too narrow for the model."""

    verdict = "shape"
    permanent = False


class VideoTimeout(VideoError):
    """Decoding did not end before its deadline; the decoding process was killed."""

    verdict = "timeout"
    permanent = False


class VideoOutOfMemory(VideoError):
    """Decoding took more memory than it may, or than there is; the decoding process was killed."""

    verdict = "out_of_memory"
    permanent = False
